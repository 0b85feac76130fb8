package e2b

import (
	"encoding/json"
	"maps"
	"regexp"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// resultFields maps media types to the fields of the protocol.
func resultFields() map[string]string {
	return map[string]string{
		"text/plain": "text", "text/html": "html", "text/markdown": "markdown", "image/svg+xml": "svg", "image/png": "png",
		"image/jpeg": "jpeg", "application/pdf": "pdf", "text/latex": "latex", "application/json": "json",
		"application/javascript": "javascript",
	}
}

// resultEvent converts a rich value to an event. The parameter "isMain" says whether the
// rich value is the value of the final expression.
func resultEvent(r pyth.Result, isMain bool) map[string]any {
	event := map[string]any{"type": "result", "is_main_result": isMain}
	fields, extra := resultFields(), map[string]any{}
	for media, data := range maps.All(r) {
		var value any = data
		if pyth.IsJSON(media) {
			value = json.RawMessage(data)
		}
		switch field := fields[media]; field {
		case "":
			extra[media] = value
		case "text":
			event[field] = unquote(data)
		default:
			event[field] = value
		}
	}
	if len(extra) > 0 {
		event["extra"] = extra
	}
	return event
}

// unquote removes the quotes of a text, as the interpreter of E2B does.
func unquote(s string) string {
	for _, q := range []string{"'", `"`} {
		if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			return s[1 : len(s)-1]
		}
	}
	return s
}

// heldResults holds the values that may be the value of the final expression. A program
// displays its values in this order: first the values of the calls of display, then the
// value of the final expression, and then the figures that are open at the end of the
// program.
type heldResults struct {
	// hasValue is true if the program ends with an expression.
	hasValue bool
	waiting  []pyth.Result
}

// add adds a value, and returns the events of earlier values that cannot be the value of
// the final expression.
func (h *heldResults) add(r pyth.Result) (ready []map[string]any) {
	if !h.hasValue {
		return []map[string]any{resultEvent(r, false)}
	}
	if !isFigure(r) {
		ready = h.release(false)
	} else if len(h.waiting) == 0 {
		return []map[string]any{resultEvent(r, false)}
	}
	h.waiting = append(h.waiting, r)
	return ready
}

// end returns the events of the values that are still waiting.
func (h *heldResults) end(succeeded bool) []map[string]any { return h.release(succeeded) }

// release returns the events of the waiting values. Only the first of them can be the
// value of the final expression.
func (h *heldResults) release(main bool) []map[string]any {
	lines := make([]map[string]any, 0, len(h.waiting))
	for i, r := range h.waiting {
		lines = append(lines, resultEvent(r, main && i == 0))
	}
	h.waiting = nil
	return lines
}

// isFigure reports whether the value is a picture of an open figure of matplotlib.
func isFigure(r pyth.Result) bool {
	text := r["text/plain"]
	return r["image/png"] != "" && (strings.HasPrefix(text, "<Figure") || strings.HasPrefix(text, "Figure("))
}

// statement matches a last line that has no value to show. Such a line is, for example, a
// statement, an assignment, or a call that shows something itself.
var statement = regexp.MustCompile(`^(\s|#|//|[@!%]|(import|from|def|class|return|for|while|if|with|try|assert|del|raise|global|nonlocal|pass|break|continue|else|elif|except|finally|const|let|var|function|throw|export)\b|(display|print|console\.\w+|\w+\.show)\s*\(|[\w.,\s\[\]'"*]*[\w\]]\s*([-+*/%&|^@]|//|\*\*|<<|>>)?=[^=])`)

// endsWithExpression reports whether a program seems to end with an expression whose
// value is shown. It only looks at the last line. In Python, a semicolon hides the value.
func endsWithExpression(code string, language pyth.Language) bool {
	lines := strings.Split(strings.TrimRight(code, " \t\r\n"), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimRight(lines[i], " \t\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsAny(line[:1], ")]}") {
			return true // The line is the end of an expression of several lines.
		}
		if language == pyth.Python && strings.HasSuffix(line, ";") {
			return false
		}
		// Check only the last statement, because a line can have several statements.
		line = strings.TrimRight(line, "; \t")
		if i := strings.LastIndexByte(line, ';'); i >= 0 && line[0] != ' ' && line[0] != '\t' {
			line = strings.TrimLeft(line[i+1:], " \t")
		}
		return line != "" && !statement.MatchString(line)
	}
	return false
}
