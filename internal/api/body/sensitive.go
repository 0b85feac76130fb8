package body

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Sensitive is a secret text from a body. It is a byte slice, because Go code cannot
// overwrite a string. The handler of the request must overwrite the bytes after use.
type Sensitive []byte

// UnmarshalJSONFrom skips the value. The function "conceal" has already copied the
// value to the field and overwritten it in the body.
func (*Sensitive) UnmarshalJSONFrom(d *jsontext.Decoder) error { return d.SkipValue() }

// Confidential is the interface of bodies with one sensitive field.
type Confidential interface {
	// Confidential returns the JSON name of the sensitive field and a pointer to this
	// field.
	Confidential() (field string, to *Sensitive)
}

// conceal returns the text of a field of a JSON object. It overwrites the text in the
// parameter "data" with the letter x, because later readers of the data must not see the
// text. It changes only strings, because the schema rejects other values.
func conceal(data []byte, field string) Sensitive {
	var text Sensitive
	// If a decoder reads from a bytes.Buffer, it does not copy the bytes. So its offsets
	// are offsets in "data". Ignore errors here, because the next decoder reports them.
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
		// Ignore the error, because the decoder has checked the syntax of the value.
		text, _ = jsontext.AppendUnquote(make([]byte, 0, len(value)), value)
		end := int(d.InputOffset())
		for i := end - len(value) + 1; i < end-1; i++ {
			data[i] = 'x'
		}
	}
	return text
}
