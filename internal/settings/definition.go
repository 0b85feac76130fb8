// Package settings describes the settings of a server. It reads the settings from a
// file.
//
// The package knows the names, types and values of settings. The caller connects the
// settings to the flags of a command.
package settings

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of the value of a setting.
type Kind string

// These constants are the kinds of values. In a settings file, a Duration and a Level
// are strings.
const (
	Text     Kind = "text"
	Path     Kind = "path"
	Switch   Kind = "boolean"
	Integer  Kind = "integer"
	Duration Kind = "duration"
	Level    Kind = "log level"
	List     Kind = "list"
	Map      Kind = "table"
)

// Definition describes one setting.
type Definition struct {
	// Name is the name of the setting in the file. The flag consists of two hyphens and
	// this name.
	Name string
	// Variables contains the names of the environment variables for the setting. If
	// several of these variables are set, the server uses the first.
	Variables []string
	Kind      Kind
	// Values contains the allowed values. If it is empty, all values of the kind are
	// allowed.
	Values  []string
	Default string
	// Unit is the unit of an Integer, for example "MiB". If the integer is a number of
	// objects, Unit is "".
	Unit string
	// Help describes the setting in one or more sentences.
	Help string
	// Reload is true if a running server can change the setting without a restart.
	Reload bool
}

// The method "expected" describes the allowed values of the setting. The description is
// a part of an error message.
func (d *Definition) expected() string {
	if len(d.Values) > 0 {
		quoted := make([]string, len(d.Values))
		for i, v := range d.Values {
			quoted[i] = strconv.Quote(v)
		}
		return "one of " + strings.Join(quoted, ", ")
	}
	switch d.Kind {
	case Path:
		return `a path in quotes, for example "/etc/pyth-on/example"`
	case Switch:
		return "true or false, without quotes"
	case Integer:
		if d.Unit != "" {
			return "a whole number without quotes, in " + d.Unit
		}
		return "a whole number without quotes"
	case Duration:
		return `a duration in quotes, for example "90s", "10m" or "1h30m"`
	case Level:
		return `"debug", "info", "warn" or "error"`
	case List:
		return `a list of texts, for example ["one", "two"]`
	case Map:
		return fmt.Sprintf("a table, for example [%s] and below it lines NAME = \"VALUE\"", d.Name)
	default:
		return "a text in quotes"
	}
}

// Format returns the value of a setting as text. The text is a valid value for the flag
// of the setting.
func Format(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return formatDuration(v)
	case slog.Level:
		return strings.ToLower(v.String())
	case []string:
		return strings.Join(v, ",")
	case []netip.Prefix:
		texts := make([]string, len(v))
		for i, p := range v {
			texts[i] = p.String()
		}
		return strings.Join(texts, ",")
	case map[string]string:
		pairs := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, name+"="+v[name])
		}
		return strings.Join(pairs, ";")
	default:
		return fmt.Sprint(v)
	}
}

// formatDuration returns the duration as text without units that are zero. For example,
// it returns 1h, and not 1h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Origin is the source of the value of a setting.
type Origin string

// These constants are the origins, in the order of their precedence.
const (
	FromFlag        Origin = "flag"
	FromEnvironment Origin = "environment"
	FromFile        Origin = "file"
	FromDefault     Origin = "default"
)

// Setting is the value of one setting.
type Setting struct {
	Name string `json:"name"`
	// Value is the value as text. Secrets in the value are masked.
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
	// Source is the name of the flag or variable, or the file and line of the setting.
	// If the value is the default, Source is "".
	Source string `json:"source,omitempty"`
	Reload bool   `json:"reload"`
	// RestartNeeded is true if the value in the environment or in the file has changed
	// since the start of the server. The server uses the new value only after a restart.
	RestartNeeded bool `json:"restartNeeded,omitempty"`
}
