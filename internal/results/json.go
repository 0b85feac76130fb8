// Package results validates the JSON values in results of programs. A response contains
// a JSON value of a program only if this package accepts the value. The package accepts
// only values that common clients can parse.
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
	// MaxDepth is the maximum depth of nested arrays and objects. The response itself
	// adds up to six levels. JSON parsers in Ruby accept 100 levels, in Rust 128 levels,
	// and in Python about 1,000 levels.
	MaxDepth = 90
	// MaxDigits is the maximum number of characters in a number. JSON parsers in Java
	// accept 1,000 characters, and in Python 4,300 characters.
	MaxDigits = 1000
)

// JSON checks that data is one JSON value (RFC 8259). It returns the value in a form
// that all parsers read in the same way. For this, it replaces invalid UTF-8 and lone
// surrogates by U+FFFD. The time is linear in the size of data.
//
// JSON returns an error with a short reason if an object has duplicate names, or if
// the value is nested deeper than MaxDepth. It also returns an error if a number is
// longer than MaxDigits or outside the range of a double.
func JSON(data []byte) (string, error) {
	// Replace invalid characters, because the JSON writer for responses also replaces
	// them. The replacement can make two member names equal, so check the result of the
	// replacement.
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

// check parses the value with the same strict rules as the JSON writer for responses. It
// also checks the depth and the numbers.
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

// reason returns a short reason for an error of the parser. The error itself may contain
// text from the value, so reason does not return it.
func reason(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errors.New("an object in JSON has two members with the same name")
	}
	return errors.New("it is not valid JSON")
}
