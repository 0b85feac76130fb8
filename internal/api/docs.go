package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pyth-on/pyth-on/internal/api/problem"
)

//go:embed docs.css
var docsStyle string

//go:embed docs.html.tmpl
var docsTemplate string

// contentSecurityPolicy returns the policy for the documentation pages. The policy allows
// only the search form and the style sheet, and identifies the style sheet by its hash.
// It forbids scripts, pictures, frames and content from other hosts.
func contentSecurityPolicy() string {
	return "default-src 'none'; style-src " + hashSource(docsStyle) + "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// hashSource returns a source expression for a Content-Security-Policy. The expression
// allows only the given text.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

type docsPage struct {
	Title   string
	Version string
	Intro   string
	Style   template.CSS
	Groups  []docsGroup
	Schemas []docsSchema
	Errors  []docsError
}

type docsGroup struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description, Credentials string
	Parameters                                          []docsField
	Body                                                *docsBody
	Responses                                           []docsBody
}

// docsBody describes the body of a request or a response in all its media types.
type docsBody struct {
	Status, Description string
	Optional            bool
	Forms               []docsContent
}

// docsContent describes a body in one media type.
type docsContent struct {
	MediaType, Schema, Description, Example string
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, Type, Link, In, Description, Bounds string
	Required                                  bool
}

type docsError struct {
	Code, Title, Advice string
	Status              int
}

func errorsPage(version string) ([]byte, error) {
	page := docsPage{Title: apiName + ": errors", Version: version, Style: template.CSS(docsStyle)}
	for _, m := range problem.Catalog() {
		page.Errors = append(page.Errors, docsError{Code: string(m.Code), Title: m.Title, Advice: strings.ReplaceAll(m.Advice, "`", ""), Status: m.Status})
	}
	return page.render()
}

// referencePage renders a page that describes every operation and schema.
func referencePage(api *huma.OpenAPI) ([]byte, error) {
	page := docsPage{
		Title: api.Info.Title, Version: api.Info.Version, Intro: api.Info.Description, Style: template.CSS(docsStyle),
	}
	for _, tag := range api.Tags {
		group := docsGroup{Name: tag.Name, Description: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
			item := api.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op == nil || !slices.Contains(op.Tags, tag.Name) {
					continue
				}
				shown, err := docsOperationOf(op)
				if err != nil {
					return nil, err
				}
				group.Operations = append(group.Operations, shown)
			}
		}
		page.Groups = append(page.Groups, group)
	}
	schemas := api.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		page.Schemas = append(page.Schemas, docsSchemaOf(name, schemas[name]))
	}
	return page.render()
}

func (p docsPage) render() ([]byte, error) {
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func docsOperationOf(op *huma.Operation) (docsOperation, error) {
	out := docsOperation{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description,
		Credentials: docsCredentials(op.Security),
	}
	for _, p := range op.Parameters {
		f := docsFieldOf(p.Name, p.Schema, p.Required)
		f.In = p.In
		if p.Description != "" {
			f.Description = p.Description
		}
		out.Parameters = append(out.Parameters, f)
	}
	if op.RequestBody != nil {
		forms, err := docsForms(op.RequestBody.Content)
		if err != nil {
			return out, err
		}
		out.Body = &docsBody{Optional: !op.RequestBody.Required, Forms: forms}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		forms, err := docsForms(r.Content)
		if err != nil {
			return out, err
		}
		body := docsBody{Status: status, Description: r.Description, Forms: forms}
		if n, err := strconv.Atoi(status); err == nil && body.Description == "" {
			body.Description = http.StatusText(n)
		}
		out.Responses = append(out.Responses, body)
	}
	return out, nil
}

// docsForms describes a body in each of its media types, sorted by media type.
func docsForms(content map[string]*huma.MediaType) ([]docsContent, error) {
	var forms []docsContent
	for _, mediaType := range slices.Sorted(maps.Keys(content)) {
		c, err := docsContentOf(mediaType, content[mediaType])
		if err != nil {
			return nil, err
		}
		forms = append(forms, c)
	}
	return forms, nil
}

func docsCredentials(security []map[string][]string) string {
	var names []string
	optional := len(security) == 0
	for _, s := range security {
		if len(s) == 0 {
			optional = true
		}
		for name := range s {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return "none"
	case optional:
		return strings.Join(names, " or ") + ", or in the body"
	default:
		return strings.Join(names, " or ")
	}
}

func docsContentOf(mediaType string, m *huma.MediaType) (docsContent, error) {
	c := docsContent{MediaType: mediaType}
	if m.Schema != nil {
		c.Schema, c.Description = componentName(m.Schema.Ref), m.Schema.Description
	}
	if m.Example != nil {
		example, err := json.Marshal(m.Example, json.Deterministic(true), jsontext.WithIndent("  "))
		if err != nil {
			return c, err
		}
		c.Example = string(example)
	}
	return c, nil
}

func docsSchemaOf(name string, s *huma.Schema) docsSchema {
	out := docsSchema{Name: name}
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		out.Fields = append(out.Fields, docsFieldOf(field, s.Properties[field], slices.Contains(s.Required, field)))
	}
	for _, value := range s.Enum {
		out.Fields = append(out.Fields, docsField{Name: fmt.Sprint(value), Type: s.Type})
	}
	// List required fields first.
	slices.SortStableFunc(out.Fields, func(a, b docsField) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		default:
			return 1
		}
	})
	return out
}

func docsFieldOf(name string, s *huma.Schema, required bool) docsField {
	f := docsField{Name: name, Required: required, Description: s.Description}
	f.Type, f.Link = docsType(s)
	f.Bounds = docsBounds(s)
	return f
}

// docsType describes a type. The result "link" is the name of the schema to link to. It
// is "" if there is no such schema.
func docsType(s *huma.Schema) (name, link string) {
	switch {
	case s.Ref != "":
		n := componentName(s.Ref)
		return n, n
	case s.Type == huma.TypeArray:
		item, link := docsType(s.Items)
		return "list of " + item, link
	case s.Type == huma.TypeObject:
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			value, link := docsType(values)
			return "map of " + value, link
		}
		return "object", ""
	case s.Format == "date-time" || s.Format == "uri-reference" || s.Format == "password":
		return s.Type + " (" + s.Format + ")", ""
	default:
		return s.Type, ""
	}
}

func docsBounds(s *huma.Schema) string {
	var out []string
	add := func(format string, v any) { out = append(out, fmt.Sprintf(format, v)) }
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		add("one of %s", strings.Join(values, ", "))
	}
	if s.Minimum != nil {
		add("≥ %s", strconv.FormatFloat(*s.Minimum, 'f', -1, 64))
	}
	if s.Maximum != nil {
		add("≤ %s", strconv.FormatFloat(*s.Maximum, 'f', -1, 64))
	}
	if s.MinLength != nil {
		add("at least %d characters", *s.MinLength)
	}
	if s.MaxLength != nil {
		add("at most %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		add("at most %d items", *s.MaxItems)
	}
	if s.Default != nil {
		add("default %v", s.Default)
	}
	return strings.Join(out, "; ")
}
