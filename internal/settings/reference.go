package settings

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Section is a group of settings in the reference page and in the example file.
type Section struct {
	Title       string
	Definitions []Definition
}

// WriteReference writes a table in Markdown for each section.
func WriteReference(w io.Writer, sections []Section) error {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n", s.Title)
		b.WriteString("| setting | flag | variable | value | default | reload | meaning |\n|---|---|---|---|---|---|---|\n")
		for i := range s.Definitions {
			d := &s.Definitions[i]
			help, computed := d.helpAndDefault()
			fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s | %s | %s | %s |\n", d.Name, d.Name, codes(d.Variables), d.values(),
				defaultText(d.Default, computed), yes(d.Reload), strings.ReplaceAll(help, "|", `\|`))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteExample writes an example of a settings file. Each setting in this file is a
// comment with the default of the setting.
func WriteExample(w io.Writer, sections []Section) error {
	var b strings.Builder
	b.WriteString("# Settings of pyth-on. Remove the # in front of a setting to change it.\n" +
		"# A flag overrides an environment variable, and a variable overrides this file.\n")
	var tables strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### %s\n", s.Title)
		for i := range s.Definitions {
			d := &s.Definitions[i]
			if d.Kind == Map {
				// In TOML, a table ends the top level of the file. Therefore write the
				// tables last.
				fmt.Fprintf(&tables, "\n%s#[%s]\n", comment(d.Help), d.Name)
				continue
			}
			fmt.Fprintf(&b, "\n%s#%s = %s\n", comment(d.Help), d.Name, d.tomlDefault())
		}
	}
	_, err := io.WriteString(w, b.String()+tables.String())
	return err
}

// helpAndDefault divides the help text into the description and the default. Only a
// default that the program computes is in the help text. It is in parentheses at the
// end.
func (d *Definition) helpAndDefault() (help, computed string) {
	const mark = " (default: "
	before, after, found := strings.Cut(d.Help, mark)
	if !found {
		return d.Help, ""
	}
	computed, rest, closed := strings.Cut(after, ").")
	if !closed {
		return d.Help, ""
	}
	return before + "." + rest, computed
}

func (d *Definition) values() string {
	if len(d.Values) > 0 {
		return codes(d.Values)
	}
	if d.Unit != "" {
		return string(d.Kind) + ", " + d.Unit
	}
	return string(d.Kind)
}

func (d *Definition) tomlDefault() string {
	switch d.Kind {
	case Switch:
		return cmp.Or(d.Default, "false")
	case Integer:
		return cmp.Or(d.Default, "0")
	case List:
		return "[]"
	default:
		return strconv.Quote(d.Default)
	}
}

func defaultText(value, computed string) string {
	switch {
	case computed != "":
		return computed
	case value != "":
		return "`" + value + "`"
	default:
		return "–"
	}
}

func codes(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// maxCommentLine is the maximum length in bytes of a line in the example file.
const maxCommentLine = 90

// comment returns the text as comment lines. Each line begins with a number sign (#).
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > maxCommentLine {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
