package settings

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/pyth-on/pyth-on/internal/nearest"
)

// maxFile is the maximum size of a settings file, in bytes.
const maxFile = 1 << 20

// errorAt is an error that belongs to a line of a file.
type errorAt struct {
	error
	line int
}

func (e *errorAt) Unwrap() error { return e.error }

// Join joins errors about the file, in the order of their lines. If all errors in errs
// are nil, it returns nil.
func Join(errs ...error) error {
	var flat []error
	for _, err := range errs {
		if list, ok := err.(interface{ Unwrap() []error }); ok {
			flat = append(flat, list.Unwrap()...)
		} else if err != nil {
			flat = append(flat, err)
		}
	}
	slices.SortStableFunc(flat, func(a, b error) int { return lineOf(a) - lineOf(b) })
	return errors.Join(flat...)
}

func lineOf(err error) int {
	if at, ok := errors.AsType[*errorAt](err); ok {
		return at.line
	}
	return 0
}

// File is a parsed settings file.
type File struct {
	Path   string
	values map[string]any
	lines  map[string]int
}

// Read parses the settings file. It refuses a file that every user of the machine can
// write. Such a user could change the files and addresses that the server uses.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("the settings file %s is a directory", path)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("every user can write the settings file %s (mode %v); run `chmod o-w %s`", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("the settings file %s is larger than 1 MiB", path)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (*File, error) {
	f := &File{Path: path, values: map[string]any{}, lines: map[string]int{}}
	if err := toml.Unmarshal(text, &f.values); err != nil {
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := at.Position()
			return nil, fmt.Errorf("%s:%d:%d: the file is not valid TOML: %s; write each setting as NAME = VALUE, and texts in quotes",
				path, line, column, strings.TrimPrefix(at.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.findLines(text)
	return f, nil
}

// findLines stores the line number of each top-level key. The text must be valid TOML.
func (f *File) findLines(text []byte) {
	var p unstable.Parser
	p.Reset(text)
	inTable := false
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			inTable = true
		case unstable.KeyValue:
			if inTable {
				continue
			}
		default:
			continue
		}
		key := node.Key()
		if !key.Next() {
			continue
		}
		if name := string(key.Node().Data); f.lines[name] == 0 {
			f.lines[name] = p.Shape(key.Node().Raw).Start.Line
		}
	}
}

// Has reports whether the file contains the setting.
func (f *File) Has(name string) bool {
	_, ok := f.values[name]
	return ok
}

// Place returns the path of the file and the line number of the setting.
func (f *File) Place(name string) string {
	if line := f.lines[name]; line > 0 {
		return f.Path + ":" + strconv.Itoa(line)
	}
	return f.Path
}

// secretSuffix is the last part of the names of certain settings. The values of these
// settings are paths of files with a secret.
const secretSuffix = "-file"

// Check returns an error for each name in the file that is not a known setting. The file
// must not contain secrets, so that operators can share and copy it.
func (f *File) Check(known []string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		switch {
		case slices.Contains(known, name):
		case slices.Contains(known, name+secretSuffix):
			errs = append(errs, f.Errorf(name, "the settings file must not contain the value of %s; write it into a file that only the server's user can read, and set %s to the path of this file",
				name, name+secretSuffix))
		default:
			hint := "; `pyth-on settings show` lists the settings"
			if near := nearest.Name(name, known); near != "" {
				hint = "; did you mean " + near + "?"
			}
			errs = append(errs, f.Errorf(name, "%q is not a setting%s", name, hint))
		}
	}
	return Join(errs...)
}

// Errorf returns an error about a setting in the file. The error begins with the file
// and line of the setting.
func (f *File) Errorf(name, format string, args ...any) error {
	return &errorAt{fmt.Errorf("%s: %w", f.Place(name), fmt.Errorf(format, args...)), f.lines[name]}
}

// Text returns the value of the setting as text for the flag of the setting. It escapes
// separators inside list elements. It returns an error if the value has the wrong type.
func (f *File) Text(d *Definition) (string, error) {
	value := f.values[d.Name]
	text, ok := textOf(d.Kind, value)
	if !ok || len(d.Values) > 0 && !slices.Contains(d.Values, text) {
		return "", f.Errorf(d.Name, "%s must be %s; the file has %s", d.Name, d.expected(), describe(value))
	}
	return text, nil
}

func textOf(kind Kind, value any) (text string, ok bool) {
	switch kind {
	case Switch:
		b, ok := value.(bool)
		return strconv.FormatBool(b), ok
	case Integer:
		i, ok := value.(int64)
		return strconv.FormatInt(i, 10), ok
	case List:
		elements, ok := value.([]any)
		return join(elements, ","), ok && allTexts(slices.Values(elements))
	case Map:
		table, ok := value.(map[string]any)
		if !ok || !allTexts(maps.Values(table)) {
			return "", false
		}
		pairs := make([]any, 0, len(table))
		for _, name := range slices.Sorted(maps.Keys(table)) {
			pairs = append(pairs, name+"="+table[name].(string))
		}
		return join(pairs, ";"), true
	case Duration:
		s, ok := value.(string)
		if _, err := time.ParseDuration(s); err != nil {
			return "", false
		}
		return s, ok
	case Level:
		s, ok := value.(string)
		return s, ok && new(slog.Level).UnmarshalText([]byte(s)) == nil
	default:
		s, ok := value.(string)
		return s, ok
	}
}

func allTexts(values func(func(any) bool)) bool {
	for v := range values {
		if _, ok := v.(string); !ok {
			return false
		}
	}
	return true
}

// join joins texts with the separator. It escapes the separator inside the texts.
func join(texts []any, separator string) string {
	escaped := make([]string, len(texts))
	for i, t := range texts {
		s, _ := t.(string)
		escaped[i] = strings.ReplaceAll(s, separator, `\`+separator)
	}
	return strings.Join(escaped, separator)
}

// describe describes a value in a file for an error message. The returned text contains
// the type of the value. If the value is short, the text also contains the value.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		if v = Mask(v); len(v) > 100 {
			v = v[:100] + "…"
		}
		return "the text " + strconv.Quote(v)
	case bool, int64, float64:
		return fmt.Sprint("the value ", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
