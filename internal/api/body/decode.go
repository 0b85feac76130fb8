package body

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

const (
	// maxDepth is the maximum nesting depth of a body. The deepest valid body has
	// four levels.
	maxDepth = 16
	// maxValues is the maximum number of values in a body. It limits memory, because a
	// value of two bytes in the body can need a hundred bytes after decoding. The largest
	// valid body has a few hundred values.
	maxValues = 10_000
)

// decode checks the body against the schema and decodes it into v. It checks the whole
// body first, because the response must list all errors. If v has a confidential field,
// decode overwrites the bytes in "data" with zeros before it returns.
func (b *Reader) decode(data []byte, v any) (err error) {
	if c, ok := v.(Confidential); ok {
		field, to := c.Confidential()
		*to = conceal(data, field)
		defer func() {
			clear(data)
			if err != nil {
				clear(*to)
			}
		}()
	}
	// Count the values before decoding, because decoding takes far more time and
	// memory.
	if err := checkShape(data); err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return syntaxError(err)
	}
	faults := b.addNulls(b.Schema.Check(tree), "body", tree)
	if len(faults) == 0 {
		err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
		if err == nil {
			return nil
		}
		faults = pyth.FieldErrors{semanticFault(err)}
	}
	slices.SortStableFunc(faults, compareFaults)
	faults = faults[:min(len(faults), problem.MaxFields)]
	b.Schema.Suggest(faults, tree)
	return faults.Err()
}

// compareFaults orders errors by location, but puts errors about unknown fields first. A
// misspelled required field causes two errors. The user then sees the misspelled name
// before the missing field.
func compareFaults(a, b pyth.FieldError) int {
	switch unknown := a.Message == problem.UnknownField; {
	case unknown == (b.Message == problem.UnknownField):
		return strings.Compare(a.Location, b.Location)
	case unknown:
		return -1
	default:
		return 1
	}
}

// checkShape returns an error if the body has too many levels or values. It counts
// brackets and commas outside strings. It does not check that the body is JSON.
func checkShape(data []byte) error {
	depth, values := 0, 1
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return pyth.Invalid("body", "must not be nested more than %d levels deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			if values++; values > maxValues {
				return pyth.Invalid("body", "must not contain more than %d values", maxValues)
			}
		}
	}
	return nil
}

// addNulls adds an error for each null in v, except in the object whose location is
// Nullable. A client must omit a field instead of sending null.
func (b *Reader) addNulls(faults pyth.FieldErrors, location string, v any) pyth.FieldErrors {
	switch v := v.(type) {
	case nil:
		if b.Nullable != "" && strings.HasPrefix(location, b.Nullable+".") {
			return faults
		}
		reported := slices.ContainsFunc(faults, func(f pyth.FieldError) bool { return f.Location == location })
		if !reported && len(faults) < problem.MaxFields {
			faults.Add(problem.Clip(location), "must not be null; omit the field instead")
			return faults
		}
	case []any:
		for i, e := range v {
			// To save time, build the location only for null, lists and objects.
			if !scalar(e) {
				faults = b.addNulls(faults, location+"["+strconv.Itoa(i)+"]", e)
			}
		}
	case map[string]any:
		for name, e := range v {
			if !scalar(e) {
				faults = b.addNulls(faults, location+"."+name, e)
			}
		}
	}
	return faults
}

func scalar(v any) bool {
	switch v.(type) {
	case string, float64, bool:
		return true
	default:
		return false
	}
}

// syntaxError converts an error of the JSON parser to an error for the caller. The
// message contains the position of the error and names of fields, but no other part of
// the body.
func syntaxError(err error) error {
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		f := semanticFault(err)
		return pyth.FieldErrors{f}.Err()
	}
	location := locationOf(e.JSONPointer)
	switch {
	case errors.Is(e, jsontext.ErrDuplicateName):
		return pyth.Invalid(location, "must not be given more than once")
	case errors.Is(e, io.ErrUnexpectedEOF):
		return pyth.Invalid(location, "is incomplete JSON: it ends after byte %d", e.ByteOffset)
	default:
		return pyth.Invalid(location, "is not valid JSON in UTF-8 at byte %d", e.ByteOffset)
	}
}

// semanticFault describes a value of the wrong type. It does not use the message of the
// JSON decoder, because that message contains the value.
func semanticFault(err error) pyth.FieldError {
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return pyth.FieldError{Location: "body", Message: "is not valid JSON"}
	}
	f := pyth.FieldError{Location: locationOf(e.JSONPointer), Message: "has a value of the wrong type"}
	switch {
	case errors.Is(e, json.ErrUnknownName):
		f.Message = problem.UnknownField
	case e.GoType != nil && e.GoType.Kind() == reflect.Int64:
		f.Message = "must be an integer without fraction or exponent, at most 9,223,372,036,854,775,807"
	case e.JSONKind == '0':
		f.Message = "must be a number within the range of a 64-bit float"
	}
	return f
}

// locationOf converts a JSON pointer (RFC 6901) to a location in the API. For
// example, /files/0/path becomes body.files[0].path.
func locationOf(p jsontext.Pointer) string {
	var b strings.Builder
	b.WriteString("body")
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
		} else {
			b.WriteString("." + token)
		}
	}
	return problem.Clip(b.String())
}
