// Package results reads the JSON of rich values. It is the one reader of them on
// the whole way from a sandbox to an answer: what it accepts can be written into
// an answer, and common clients can read that answer.
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
	// MaxDepth is how deep a value may be nested. An answer adds up to six levels
	// of its own, and clients in Ruby read 100, in Rust 128, in Python about 1,000.
	MaxDepth = 90
	// MaxDigits is how many characters a number may have. Clients in Java read
	// 1,000, in Python 4,300.
	MaxDigits = 1000
)

// JSON returns the value in a form that every reader understands alike, or an
// error whose text says in a few words why there is none. Bytes that are not
// UTF-8, and lone surrogates, become U+FFFD. It refuses what is not one JSON
// value (RFC 8259), an object with two members of one name, a value that is
// nested deeper than MaxDepth, and a number that has more than MaxDigits
// characters or is beyond the range of a double. It takes time linear in the size of data.
func JSON(data []byte) (string, error) {
	// The writer of answers does so; two names may become equal by it.
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

// check reads the value token by token, as strictly as the writer of answers.
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

// reason says what is wrong, without any of the text.
func reason(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errors.New("an object in JSON has two members of one name")
	}
	return errors.New("it is not valid JSON")
}
