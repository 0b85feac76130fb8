package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
	"github.com/pyth-on/pyth-on/internal/api/problem"
	"github.com/pyth-on/pyth-on/internal/nearest"
)

// oneOf is the beginning of the error message for a value that is not one of the allowed
// values.
const oneOf = "must be one of "

const timeMessage = "must be a time in the format of RFC 3339, for example 2026-04-04T08:23:21Z"

// setMessages replaces huma's validation messages. These messages are package variables
// of huma, so all Handlers in a process share the new messages.
func setMessages() {
	validation.MsgUnexpectedProperty = problem.UnknownField
	validation.MsgExpectedRFC3339DateTime = timeMessage
	validation.MsgExpectedBoolean = "must be true or false"
	validation.MsgExpectedNumber = "must be a number"
	validation.MsgExpectedInteger = "must be an integer"
	validation.MsgExpectedString = "must be a string"
	validation.MsgExpectedArray = "must be a list"
	validation.MsgExpectedObject = "must be an object"
	validation.MsgExpectedOneOf = oneOf + "%s"
	validation.MsgExpectedMinimumNumber = "must be at least %v"
	validation.MsgExpectedMaximumNumber = "must be at most %v"
	validation.MsgExpectedMinLength = "must have at least %v characters"
	validation.MsgExpectedMaxLength = "must have at most %v characters"
	validation.MsgExpectedMinItems = "must have at least %v items"
	validation.MsgExpectedMaxItems = "must have at most %v items"
	validation.MsgExpectedRequiredProperty = "requires the field %s"
	huma.ErrorFormatter = formatFault
}

// formatFault formats a message like fmt.Sprintf. It writes numbers with commas, for
// example 300,000. It uses the singular form for one character or one item.
func formatFault(format string, args ...any) string {
	for i, arg := range args {
		switch v := arg.(type) {
		case float64:
			args[i] = pyth.Digits(int64(v))
		case int:
			args[i] = pyth.Digits(int64(v))
		}
	}
	text := fmt.Sprintf(format, args...)
	return strings.NewReplacer("least 1 characters", "least 1 character", "least 1 items", "least 1 item").Replace(text)
}

// faultOf converts a validation message of huma to a field error of this API.
func faultOf(location, message string) pyth.FieldError {
	switch {
	case strings.HasPrefix(message, "must be at "):
		message += pyth.Unit(location)
	case strings.HasPrefix(message, "required ") && strings.HasSuffix(message, "parameter is missing"):
		message = "is required"
	case strings.HasPrefix(message, "invalid date/time"):
		// Replace huma's message. It contains a time layout of Go, which most users do
		// not know.
		message = timeMessage
	case message == "invalid integer":
		message = "must be an integer"
	case message == "invalid boolean":
		message = "must be true or false"
	}
	return pyth.FieldError{Location: problem.Clip(location), Message: message}
}

// bodySchema checks bodies of one operation against their schema in the OpenAPI
// document.
type bodySchema struct {
	registry huma.Registry
	schema   *huma.Schema
}

var _ body.Schema = (*bodySchema)(nil)

func (s *bodySchema) Check(value any) pyth.FieldErrors {
	result := &huma.ValidateResult{}
	path := huma.NewPathBuffer(nil, 0)
	path.Push("body")
	huma.Validate(s.registry, s.schema, path, huma.ModeWriteToServer, value, result)
	return fieldErrors(result.Errors)
}

// Suggest improves messages about unknown fields and unknown values. It adds the most
// similar known name. If no known name is similar to an unknown field, Suggest adds all
// known names.
func (s *bodySchema) Suggest(faults pyth.FieldErrors, value any) {
	for i := range faults {
		f := &faults[i]
		if f.Message != problem.UnknownField && !strings.HasPrefix(f.Message, oneOf) {
			continue
		}
		if known, given, ok := s.knownAt("body", s.schema, value, f); ok {
			if f.Message == problem.UnknownField {
				f.Message += nearest.Suggestion(given, known)
			} else if near := nearest.Name(given, known); near != "" {
				f.Message += "; did you mean " + near + "?"
			}
		}
	}
}

// knownAt finds the unknown name at the location of f. It returns the unknown name and
// the known names at this location. The result "ok" is false if knownAt finds no such
// name. The parameters location, schema and value describe the part of the body that
// knownAt searches.
func (s *bodySchema) knownAt(location string, schema *huma.Schema, value any, f *pyth.FieldError) (known []string, given string, ok bool) {
	if schema != nil && schema.Ref != "" {
		schema = s.registry.SchemaFromRef(schema.Ref)
	}
	if schema == nil {
		return nil, "", false
	}
	switch v := value.(type) {
	case string:
		if problem.Clip(location) != f.Location || len(schema.Enum) == 0 {
			return nil, "", false
		}
		return enumOf(s.registry, schema), v, true
	case []any:
		for i, e := range v {
			if known, given, ok = s.knownAt(location+"["+strconv.Itoa(i)+"]", schema.Items, e, f); ok {
				return known, given, ok
			}
		}
	case map[string]any:
		for name, e := range v {
			at := location + "." + name
			of, isField := schema.Properties[name]
			switch {
			case isField:
			case len(schema.Properties) > 0:
				if f.Message == problem.UnknownField && problem.Clip(at) == f.Location {
					return slices.Collect(maps.Keys(schema.Properties)), name, true
				}
				continue
			default:
				of, _ = schema.AdditionalProperties.(*huma.Schema)
			}
			if known, given, ok = s.knownAt(at, of, e, f); ok {
				return known, given, ok
			}
		}
	}
	return nil, "", false
}

// queryEnums maps the names of an operation's query parameters to their allowed
// values. An empty list means that all values are allowed.
func queryEnums(registry huma.Registry, doc *huma.Operation) map[string][]string {
	params := map[string][]string{}
	for _, p := range doc.Parameters {
		if p.In == "query" {
			params[p.Name] = enumOf(registry, p.Schema)
		}
	}
	return params
}

// enumOf returns the values that a schema allows. An empty list means that the schema
// allows all values.
func enumOf(registry huma.Registry, s *huma.Schema) []string {
	if s != nil && s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	var values []string
	for _, e := range s.Enum {
		values = append(values, fmt.Sprint(e))
	}
	return values
}
