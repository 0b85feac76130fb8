// Package results validates the JSON of rich values. It is the only parser of
// them between a sandbox and an answer. Whatever it accepts can be written into
// an answer that common clients can parse.
package results

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxDepth bounds the nesting of a value. An answer adds up to six levels,
	// and clients in Ruby accept 100, in Rust 128, in Python about 1,000.
	MaxDepth = 90
	// MaxDigits bounds the length of a number. Clients in Java accept 1,000
	// characters, in Python 4,300.
	MaxDigits = 1000
)

// JSON returns the value in a form that every parser reads alike, or an error
// with a short reason. Invalid UTF-8 and lone surrogates become U+FFFD. JSON
// refuses text that is not one JSON value (RFC 8259), objects with duplicate
// names, nesting deeper than MaxDepth, and numbers that are longer than
// MaxDigits or out of the range of a double. It takes time linear in the size
// of data.
func JSON(data []byte) (string, error) {
	// Replace invalid characters as the writer of answers does. Two names may
	// become equal by that.
	text, err := jsontext.AppendFormat(nil, strings.ToValidUTF8(string(data), "\ufffd"),
		jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(false))
	if err != nil {
		return "", reason(err)
	}
	if err := check(text); err != nil {
		return "", err
	}
	return string(text), nil
}

// check parses the value as strictly as the writer of answers.
func check(text []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return reason(err)
		}
		if d.StackDepth() > MaxDepth {
			return fmt.Errorf("JSON is nested more than %d levels deep", MaxDepth)
		}
		if token.Kind() != '0' {
			continue
		}
		number := token.String()
		if len(number) > MaxDigits {
			return fmt.Errorf("a number in JSON has more than %d characters", MaxDigits)
		}
		if f, err := strconv.ParseFloat(number, 64); err != nil || math.IsInf(f, 0) {
			return errors.New("a number in JSON is out of range")
		}
	}
}

// reason returns an error that contains none of the text.
func reason(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errors.New("an object in JSON has two members of one name")
	}
	return errors.New("it is not valid JSON")
}
