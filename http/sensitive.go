package http

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// sensitive is text of a body that must not stay in memory: a string could not
// be cleared. Whoever takes it clears it.
type sensitive []byte

var (
	_ json.UnmarshalerFrom = (*sensitive)(nil)
	_ huma.SchemaProvider  = sensitive(nil)
)

// UnmarshalJSONFrom makes no copy but the one that it keeps.
func (s *sensitive) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != '"' {
		return &json.SemanticError{JSONKind: value.Kind(), JSONPointer: dec.StackPointer()}
	}
	*s, err = jsontext.AppendUnquote(make([]byte, 0, len(value)), value)
	return err
}

// Schema is that of a password: shown to nobody.
func (sensitive) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "password", WriteOnly: true}
}

// sensitiveFields are the names of those of a body's fields.
func sensitiveFields(t reflect.Type) []string {
	var names []string
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		if f.Type == reflect.TypeFor[sensitive]() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
}

// mask is a copy of a body, for checking its form, in which the text of those of
// its fields is replaced by as many letters. Its error is the decoder's.
func mask(data []byte, fields []string) ([]byte, error) {
	// The decoder reads out of the buffer without copying.
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	var out []byte
	copied := 0
	for {
		if !beforeValueOf(dec, fields) {
			switch _, err := dec.ReadToken(); {
			case errors.Is(err, io.EOF):
				return append(out, data[copied:]...), nil
			case err != nil:
				return nil, err
			}
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		end := int(dec.InputOffset())
		out = append(out, data[copied:end-len(value)]...)
		out = append(out, `"`+strings.Repeat("x", characters(value))+`"`...)
		copied = end
	}
}

// beforeValueOf is whether the text of one of the fields comes next.
func beforeValueOf(dec *jsontext.Decoder, fields []string) bool {
	if dec.StackDepth() != 1 || dec.PeekKind() != '"' {
		return false
	}
	kind, read := dec.StackIndex(1)
	return kind == '{' && read%2 == 1 &&
		slices.ContainsFunc(fields, func(f string) bool { return dec.StackPointer() == jsontext.Pointer("/"+f) })
}

// characters counts those of a JSON string, in UTF-16 units where it has
// escapes.
func characters(value jsontext.Value) int {
	n := 0
	for i := 1; i < len(value)-1; i++ {
		switch c := value[i]; {
		case c == '\\' && value[i+1] == 'u':
			i += 5
			n++
		case c == '\\':
			i++
			n++
		case c&0xC0 != 0x80:
			n++
		}
	}
	return n
}
