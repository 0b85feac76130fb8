package body

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Sensitive is a secret text in a body. It is not a string, because strings cannot be
// overwritten. The receiver clears it.
type Sensitive []byte

// UnmarshalJSONFrom skips the value, because conceal has removed the text already.
func (*Sensitive) UnmarshalJSONFrom(d *jsontext.Decoder) error { return d.SkipValue() }

// Confidential is a body with a sensitive field.
type Confidential interface {
	// Confidential returns the name of the field and a pointer to its value.
	Confidential() (field string, to *Sensitive)
}

// conceal returns the text of a field of a JSON object and overwrites it in data with
// the letter x. So later users of data cannot read it. It does not change values that
// are not strings; the decoder rejects them.
func conceal(data []byte, field string) Sensitive {
	var text Sensitive
	// A decoder of a bytes.Buffer returns parts of the same bytes, so that they can be
	// overwritten. Errors are ignored here, because the next decoder finds them too.
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
