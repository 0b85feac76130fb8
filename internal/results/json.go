// Package results validates the JSON of rich values. All values from sandboxes pass
// through it before they are sent in a response. It accepts only values that common
// clients can parse.
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
	// MaxDepth is the maximum nesting of a value. A response adds up to six levels.
	// Clients in Ruby accept 100 levels, in Rust 128, in Python about 1,000.
	MaxDepth = 90
	// MaxDigits is the maximum length of a number. Clients in Java accept 1,000
	// characters, in Python 4,300.
	MaxDigits = 1000
)

// JSON checks data and returns it in a form that all parsers read in the same way. It
// replaces invalid UTF-8 and lone surrogates by U+FFFD. It returns an error with a
// short reason if data is not one JSON value (RFC 8259), has duplicate names or is
// nested deeper than MaxDepth. It also rejects numbers that are longer than MaxDigits
// or outside the range of a double. The time is linear in the size of data.
func JSON(data []byte) (string, error) {
	// Replace invalid characters in the same way as the writer of responses. Two names
	// may be equal afterwards.
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

// check parses the value as strictly as the writer of responses.
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

// reason returns an error without any text from the value.
func reason(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errors.New("an object in JSON has two members with the same name")
	}
	return errors.New("it is not valid JSON")
}
