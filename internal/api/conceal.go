package api

import (
	"bytes"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// sensitive is a text of a body that is never a string: those cannot be wiped,
// and are copied about. Whoever takes it clears it.
type sensitive []byte

// Schema is that of a text.
func (sensitive) Schema(huma.Registry) *huma.Schema {
	least := 1
	s := &huma.Schema{Type: huma.TypeString, Format: "password", MinLength: &least}
	s.PrecomputeMessages()
	return s
}

// UnmarshalJSONFrom leaves it as it is: conceal has taken the text.
func (*sensitive) UnmarshalJSONFrom(d *jsontext.Decoder) error { return d.SkipValue() }

// confidential is a body with such a text.
type confidential interface {
	// confidential is the name of its field, and where it is to be put.
	confidential() (field string, to *sensitive)
}

// conceal takes the text of a field out of a JSON object, in which as many x's
// take its place. So whatever looks at the body after that does not see it. A
// value that is no text is left, to be refused.
func conceal(data []byte, field string) sensitive {
	var text sensitive
	// A decoder of a bytes.Buffer works on these very bytes, as does what it
	// returns. It stops where whoever decodes the body next does.
	d := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return text
		}
		if name.String() != field {
			if d.SkipValue() != nil {
				return text
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			return text
		}
		if value.Kind() != '"' || len(value) == len(`""`) {
			continue
		}
		clear(text)
		// It is valid, or it would not have been read.
		text, _ = jsontext.AppendUnquote(make([]byte, 0, len(value)), value)
		end := int(d.InputOffset())
		for i := end - len(value) + 1; i < end-1; i++ {
			data[i] = 'x'
		}
	}
	return text
}
