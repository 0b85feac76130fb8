package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// roots lists the schemas that the client libraries use directly. The generated files
// contain these schemas and all schemas to which they refer.
var roots = []string{
	"AuditList", "AuthRequest", "AuthResponse", "EncryptedCodeList", "Error", "ExecuteRequest", "ExecuteResponse", "Execution",
	"ExecutionList", "GenerateRequest", "GenerateResponse", "KeyCreated", "KeyList", "KeyRequest", "OutputEvent", "PackageList",
	"PackageRequest", "PackagesRequest", "ProcessList", "ProcessRequest", "ProcessSignal", "RunOptions", "SecretInput", "SecretList", "ServerInfo", "Session", "SessionChange", "SessionFileList",
	"SessionList", "SessionRequest", "StartEvent", "UsageReport", "UserInfo", "VerifyResponse", "ZKPayload", "ZKSandbox", "ZKSealedExecuteRequest",
}

// schema is a JSON Schema. It contains only the keywords that the OpenAPI document uses
// to describe types.
type schema struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Type        any                `json:"type"`
	Format      string             `json:"format"`
	Encoding    string             `json:"contentEncoding"`
	Enum        []string           `json:"enum"`
	Default     any                `json:"default"`
	Minimum     *float64           `json:"minimum"`
	AllOf       []*schema          `json:"allOf"`
	Items       *schema            `json:"items"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Additional  any                `json:"additionalProperties"`
}

// document contains the schemas of the OpenAPI document by name.
type document struct{ schemas map[string]*schema }

// definition is a named type: an object with fields, a map, or an enumeration.
type definition struct {
	name, description string
	fields            []field
	values            []string
	isMap             bool
}

type field struct {
	name, description string
	kind              kind
	required          bool
	// zeroIsAbsent is true in two cases: the server treats a zero value like an absent
	// value, or the server refuses zero values.
	zeroIsAbsent bool
}

// kind is the type of a field.
type kind struct {
	// base is the kind of type: "string", "time", "bytes", "integer", "boolean", "any",
	// "list", "map", "object" or "enum".
	base string
	// name is the name of the definition if the field is an object or an enumeration.
	name    string
	element *kind
}

func read(path string) (*document, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(b, &parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &document{parsed.Components.Schemas}, nil
}

// definitions returns the definitions of the root schemas and of all schemas to which
// the root schemas refer. The definitions are sorted by name.
func (d *document) definitions() ([]definition, error) {
	found := map[string]definition{}
	for queue := slices.Clone(roots); len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		if _, ok := found[name]; ok {
			continue
		}
		definition, err := d.define(name)
		if err != nil {
			return nil, err
		}
		found[name] = definition
		for _, f := range definition.fields {
			k := &f.kind
			for k.element != nil {
				k = k.element
			}
			if k.name != "" {
				queue = append(queue, k.name)
			}
		}
	}
	var all []definition
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[name])
	}
	return all, nil
}

func (d *document) define(name string) (definition, error) {
	s, ok := d.schemas[name]
	if !ok {
		return definition{}, fmt.Errorf("the document has no schema %s", name)
	}
	result := definition{name: name, description: s.Description, values: s.Enum}
	properties, required := map[string]*schema{}, []string{}
	d.collect(s, properties, &required)
	result.isMap = len(properties) == 0 && len(s.Enum) == 0
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties[name]
		k, err := d.kindOf(p)
		if err != nil {
			return result, fmt.Errorf("%s.%s: %w", result.name, name, err)
		}
		description := p.Description
		merged := d.merge(p)
		result.fields = append(result.fields, field{
			name: name, description: description, kind: k, required: slices.Contains(required, name),
			// In a change, only an absent field keeps its value: an empty string or list
			// removes the value.
			zeroIsAbsent: !strings.HasSuffix(result.name, "Change") && (k.base != "integer" && k.base != "boolean" ||
				k.base == "integer" && merged.Minimum != nil && *merged.Minimum > 0 ||
				k.base == "boolean" && merged.Default != true),
		})
	}
	return result, nil
}

// The method "collect" adds the properties of the schema and of the parts of the schema
// to the map "properties".
func (d *document) collect(s *schema, properties map[string]*schema, required *[]string) {
	if s.Ref != "" {
		d.collect(d.schemas[refName(s.Ref)], properties, required)
	}
	for _, part := range s.AllOf {
		d.collect(part, properties, required)
	}
	maps.Copy(properties, s.Properties)
	*required = append(*required, s.Required...)
}

// The method "merge" returns the only part in allOf if the schema consists of only this
// part. Otherwise the method returns the schema itself.
func (d *document) merge(s *schema) *schema {
	if len(s.AllOf) == 1 && s.Ref == "" && s.Type == nil {
		return s.AllOf[0]
	}
	return s
}

func (d *document) kindOf(s *schema) (kind, error) {
	s = d.merge(s)
	if s.Ref != "" {
		name := refName(s.Ref)
		base := "object"
		if target, ok := d.schemas[name]; ok && len(target.Enum) > 0 {
			base = "enum"
		}
		return kind{base: base, name: name}, nil
	}
	name, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok && len(list) > 0 {
		name, _ = list[0].(string)
	}
	switch {
	case name == "string" && s.Format == "date-time":
		return kind{base: "time"}, nil
	case name == "string" && s.Encoding == "base64":
		return kind{base: "bytes"}, nil
	case name == "string", name == "boolean", name == "integer":
		return kind{base: name}, nil
	case name == "":
		return kind{base: "any"}, nil
	case name == "array" && s.Items != nil:
		element, err := d.kindOf(s.Items)
		return kind{base: "list", element: &element}, err
	case name == "object":
		element := kind{base: "any"}
		if values, ok := s.Additional.(map[string]any); ok && values["type"] == "string" {
			element = kind{base: "string"}
		}
		return kind{base: "map", element: &element}, nil
	}
	return kind{}, fmt.Errorf("the type %v is unknown", s.Type)
}

func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
