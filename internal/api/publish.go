package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// publish returns the OpenAPI document that clients can read. The parameter "api" is a
// different document: huma checks requests with it. There, each schema lists all fields
// and rejects unknown fields. The published document has these differences:
//
//   - the schema of a Go type that embeds other types is an allOf of their schemas;
//   - the schema of a request type with several variants is a oneOf of the variants;
//   - error responses, their headers, and parameters that several operations have are
//     components;
//   - schemas of responses allow additional properties, schemas of requests do not;
//   - defaults in requests are in an allOf, so that client generators treat the
//     property as optional.
func publish(api *huma.OpenAPI) *huma.OpenAPI {
	registry := api.Components.Schemas
	schemas := map[string]*huma.Schema{}
	for name, s := range registry.Map() {
		schemas[name] = composed(registry, name, s)
	}
	components := *api.Components
	components.Headers = map[string]*huma.Param{}
	components.Responses = map[string]*huma.Response{}
	components.Parameters = map[string]*huma.Param{}
	doc := *api
	doc.Components = &components
	doc.Paths = map[string]*huma.PathItem{}
	shared := sharedParameters(api)
	for path, item := range api.Paths {
		published := *item
		for _, op := range []**huma.Operation{&published.Get, &published.Put, &published.Post, &published.Delete, &published.Patch} {
			if *op != nil {
				*op = publishOperation(*op, &components, shared)
			}
		}
		doc.Paths[path] = &published
	}
	requests, responses := usedSchemas(&doc, schemas)
	for name, s := range schemas {
		switch {
		case !requests[name] && !responses[name]:
			delete(schemas, name)
		case responses[name]:
		default:
			closeSchema(s)
			wrapDefaults(s)
		}
	}
	for name := range basesOf(registry, schemas) {
		if s := schemas[name]; s != nil {
			openSchema(s)
		}
	}
	components.Schemas = &publishedSchemas{registry, schemas}
	return &doc
}

// publishedSchemas is a huma.Registry. It returns the published schemas instead of the
// schemas that huma generates from the Go types.
type publishedSchemas struct {
	huma.Registry

	schemas map[string]*huma.Schema
}

func (p *publishedSchemas) Map() map[string]*huma.Schema { return p.schemas }

func (p *publishedSchemas) MarshalJSON() ([]byte, error) {
	return json.Marshal(p.schemas, json.Deterministic(true))
}

// The function "composed" returns the published schema of a component. The parameter s
// is the complete schema of this component. Later, the function "publish" decides
// whether the schema allows additional properties.
func composed(registry huma.Registry, name string, s *huma.Schema) *huma.Schema {
	t := registry.TypeFromRef(schemaPrefix + name)
	description := s.Description
	if t != nil {
		description = typeDescription(t)
	}
	if forms, ok := variantsOf(t); ok {
		out := &huma.Schema{Description: description}
		for _, form := range forms {
			out.OneOf = append(out.OneOf, registry.Schema(form, true, ""))
		}
		return out
	}
	own := *s
	own.Description = description
	openSchema(&own)
	bases := embedded(t)
	if len(bases) == 0 {
		return &own
	}
	own.Properties = maps.Clone(s.Properties)
	own.Required = slices.Clone(s.Required)
	own.Description = ""
	out := &huma.Schema{Description: description}
	for _, base := range bases {
		out.AllOf = append(out.AllOf, &huma.Schema{Ref: schemaPrefix + base.Name()})
		for field := range registry.Map()[base.Name()].Properties {
			delete(own.Properties, field)
			own.Required = slices.DeleteFunc(own.Required, func(r string) bool { return r == field })
		}
	}
	if len(own.Properties) > 0 {
		out.AllOf = append(out.AllOf, &own)
	}
	return out
}

// typeDescription returns the description for the schema of a Go type. The description is
// in the doc tag of the type's blank field.
func typeDescription(t reflect.Type) string {
	for i := range t.NumField() {
		if f := t.Field(i); f.Name == "_" {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

// variantsOf returns the variants of a request type. The second result is false if
// the type has no variants.
func variantsOf(t reflect.Type) ([]reflect.Type, bool) {
	if t == nil {
		return nil, false
	}
	choice, ok := reflect.Zero(t).Interface().(interface{ oneOf() []reflect.Type })
	if !ok {
		return nil, false
	}
	return choice.oneOf(), true
}

// The function "embedded" returns the types of the exported structs that t embeds.
func embedded(t reflect.Type) []reflect.Type {
	var types []reflect.Type
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.IsExported() && f.Type.Kind() == reflect.Struct {
			types = append(types, f.Type)
		}
	}
	return types
}

// registerParts adds the schemas of embedded types and of the variants of request types.
// huma itself adds only the types that operations use directly.
func registerParts(registry huma.Registry) {
	for _, name := range slices.Collect(maps.Keys(registry.Map())) {
		t := registry.TypeFromRef(schemaPrefix + name)
		parts := embedded(t)
		if forms, ok := variantsOf(t); ok {
			parts = append(parts, forms...)
		}
		for _, part := range parts {
			if registry.Map()[part.Name()] == nil {
				registry.Schema(part, false, "")
				registerParts(registry)
			}
		}
	}
}

// resolveDefaults replaces each default that is a pointer with the value behind the
// pointer. huma stores a pointer if the field is a pointer.
func resolveDefaults(registry huma.Registry) {
	for _, s := range registry.Map() {
		for _, p := range s.Properties {
			if v := reflect.ValueOf(p.Default); v.IsValid() && v.Kind() == reflect.Pointer {
				p.Default = v.Elem().Interface()
			}
		}
	}
}

// basesOf returns the names of the schemas of embedded types. An embedded type is a Go
// type that another type embeds.
func basesOf(registry huma.Registry, schemas map[string]*huma.Schema) map[string]bool {
	bases := map[string]bool{}
	for name := range schemas {
		for _, base := range embedded(registry.TypeFromRef(schemaPrefix + name)) {
			bases[base.Name()] = true
		}
	}
	return bases
}

const unevaluated = "unevaluatedProperties"

// closeSchema makes an object schema reject unknown properties. An allOf needs the
// keyword unevaluatedProperties for this purpose, because each part of the allOf knows
// only some of the properties.
func closeSchema(s *huma.Schema) {
	switch {
	case len(s.AllOf) > 0:
		s.Extensions = map[string]any{unevaluated: false}
	case len(s.Properties) > 0:
		s.AdditionalProperties = false
	}
}

// wrapDefaults moves the default of each property into an allOf. Client generators assume
// that a property with a default is always present. In requests, this assumption is
// wrong.
func wrapDefaults(s *huma.Schema) {
	for _, part := range slices.Concat(s.AllOf, []*huma.Schema{s}) {
		properties := maps.Clone(part.Properties)
		for name, p := range properties {
			if p.Default == nil {
				continue
			}
			inner := *p
			inner.Description = ""
			properties[name] = &huma.Schema{Description: p.Description, AllOf: []*huma.Schema{&inner}}
		}
		part.Properties = properties
	}
}

// openSchema makes an object schema allow unknown properties.
func openSchema(s *huma.Schema) {
	delete(s.Extensions, unevaluated)
	if s.AdditionalProperties == false {
		s.AdditionalProperties = nil
	}
}

// usedSchemas returns the names of all schemas to which requests and responses refer.
func usedSchemas(doc *huma.OpenAPI, schemas map[string]*huma.Schema) (requests, responses map[string]bool) {
	requests, responses = map[string]bool{}, map[string]bool{}
	content := func(used map[string]bool, content map[string]*huma.MediaType) {
		for _, m := range content {
			markUsed(used, schemas, m.Schema)
		}
	}
	for _, t := range append(eventTypes(), reflect.TypeFor[DroppedEvent]()) {
		if schemas[t.Name()] != nil {
			markUsed(responses, schemas, &huma.Schema{Ref: schemaPrefix + t.Name()})
		}
	}
	for _, r := range doc.Components.Responses {
		content(responses, r.Content)
	}
	for _, p := range doc.Components.Parameters {
		markUsed(requests, schemas, p.Schema)
	}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				markUsed(requests, schemas, p.Schema)
			}
			if op.RequestBody != nil {
				content(requests, op.RequestBody.Content)
			}
			for _, r := range op.Responses {
				content(responses, r.Content)
			}
		}
	}
	return requests, responses
}

// markUsed adds names of schemas to the set "used". It adds all schemas to which s
// refers, directly or indirectly.
func markUsed(used map[string]bool, schemas map[string]*huma.Schema, s *huma.Schema) {
	if s == nil {
		return
	}
	if name := componentName(s.Ref); s.Ref != "" && !used[name] {
		used[name] = true
		markUsed(used, schemas, schemas[name])
	}
	markUsed(used, schemas, s.Items)
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		markUsed(used, schemas, values)
	}
	for _, p := range s.Properties {
		markUsed(used, schemas, p)
	}
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		markUsed(used, schemas, part)
	}
}

// publishOperation returns a copy of the operation. In the copy, it replaces shared
// parameters, headers and error responses with references. It adds their definitions to
// "components".
func publishOperation(op *huma.Operation, components *huma.Components, shared map[string]string) *huma.Operation {
	out := *op
	out.Parameters = slices.Clone(op.Parameters)
	for i, p := range out.Parameters {
		if name := shared[parameterKey(p)]; name != "" {
			components.Parameters[name] = p
			out.Parameters[i] = &huma.Param{Ref: "#/components/parameters/" + name}
		}
	}
	out.Responses = map[string]*huma.Response{}
	for status, r := range op.Responses {
		published := *r
		published.Headers = map[string]*huma.Param{}
		for header, p := range r.Headers {
			if header == "Location" {
				// Do not share this header, because it has a different meaning in each
				// operation.
				published.Headers[header] = p
				continue
			}
			name := strings.ReplaceAll(strings.TrimPrefix(header, "X-"), "-", "")
			components.Headers[name] = p
			published.Headers[header] = &huma.Param{Ref: "#/components/headers/" + name}
		}
		if content := r.Content[problem.MediaType]; content != nil {
			name := errorResponseName(status, content)
			published.Content = map[string]*huma.MediaType{problem.MediaType: {Schema: content.Schema, Example: exampleProblem(status, content)}}
			components.Responses[name] = &published
			out.Responses[status] = &huma.Response{Ref: "#/components/responses/" + name}
			continue
		}
		out.Responses[status] = &published
	}
	return &out
}

func errorResponseName(status string, content *huma.MediaType) string {
	if content.Schema.Ref != schemaPrefix+"Error" {
		return "ServerUnhealthy"
	}
	n, err := strconv.Atoi(status)
	if err != nil {
		return "Failure"
	}
	return strings.ReplaceAll(http.StatusText(n), " ", "")
}

// exampleProblem returns the example of the error response in "content". If there is no
// example, it returns the first error in the catalog that has this status. For a default
// response, it returns an error with status 500.
func exampleProblem(status string, content *huma.MediaType) any {
	if content.Example != nil {
		return content.Example
	}
	if status == "default" {
		status = strconv.Itoa(http.StatusInternalServerError)
	}
	for _, t := range problem.Catalog() {
		if strconv.Itoa(t.Status) != status {
			continue
		}
		example := map[string]any{
			"type": t.URI(), "title": t.Title, "status": t.Status, "detail": t.Advice,
			"instance": "urn:pyth-on:request:4f2c9a", "code": string(t.Code), "requestId": "4f2c9a",
		}
		if t.Status == http.StatusBadRequest {
			example["detail"] = "body.code: is required"
			example["errors"] = []any{map[string]any{"location": "body.code", "message": "is required"}}
		}
		return example
	}
	return nil
}

// parameterKey returns a key for a parameter. Equal parameters of several operations have
// the same key.
func parameterKey(p *huma.Param) string { return p.In + " " + p.Name + " " + p.Description }

// sharedParameters returns the component names of the parameters that several operations
// have in common. The keys of the map are results of parameterKey. The component name of
// a path parameter begins with the resource, for example SessionIdParameter for
// /sessions/{id}.
func sharedParameters(api *huma.OpenAPI) map[string]string {
	names, count := map[string]string{}, map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		item := api.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				key := parameterKey(p)
				count[key]++
				if names[key] != "" {
					continue
				}
				name := capitalize(p.Name)
				if p.In == "path" {
					before, _, _ := strings.Cut(path, "/{"+p.Name+"}")
					name = capitalize(strings.TrimSuffix(before[strings.LastIndexByte(before, '/')+1:], "s")) + name
				}
				names[key] = name + "Parameter"
			}
		}
	}
	for key, n := range count {
		if n < 2 {
			delete(names, key)
		}
	}
	return names
}

func capitalize(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
