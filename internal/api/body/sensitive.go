package body

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Sensitive is a text of a body. It is not a string, since strings cannot be
// wiped. The receiver clears it.
type Sensitive []byte

// UnmarshalJSONFrom skips the value: conceal has taken the text.
func (*Sensitive) UnmarshalJSONFrom(d *jsontext.Decoder) error { return d.SkipValue() }

// Confidential is a body with a sensitive field.
type Confidential interface {
	// Confidential returns the name of the field and a pointer to its value.
	Confidential() (field string, to *Sensitive)
}

// conceal takes the text of a field out of a JSON object and replaces it by as
// many x, so that later readers of the body do not see it. It leaves a value
// that is not a string; the decoder refuses it.
func conceal(data []byte, field string) Sensitive {
	var text Sensitive
	// A decoder of a bytes.Buffer works on these bytes and returns parts of
	// them. It stops where the next decoder stops.
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
		// The decoder has checked the value.
		text, _ = jsontext.AppendUnquote(make([]byte, 0, len(value)), value)
		end := int(d.InputOffset())
		for i := end - len(value) + 1; i < end-1; i++ {
			data[i] = 'x'
		}
	}
	return text
}
