// Package statement finds the end of a statement that a user types line by line.
package statement

import "strings"

// IsComplete reports whether the lines are a complete statement. It guesses the result
// from brackets, multi-line strings and indentation. An indented block ends with an
// empty line.
func IsComplete(code string) bool {
	if strings.Count(code, `"""`)%2 == 1 || strings.Count(code, "'''")%2 == 1 {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(code, "\n"), "\n")
	last := lines[len(lines)-1]
	if strings.TrimSpace(last) == "" {
		return depth(code) <= 0 || len(lines) > 1 && strings.TrimSpace(lines[len(lines)-2]) == ""
	}
	if strings.HasSuffix(last, "\\") || depth(code) > 0 {
		return false
	}
	first := strings.TrimSpace(lines[0])
	isBlock := strings.HasSuffix(first, ":") || strings.HasPrefix(first, "@")
	for _, line := range lines[1:] {
		isBlock = isBlock || strings.HasSuffix(line, ":")
	}
	return !isBlock
}

// depth returns the number of open brackets outside of strings.
func depth(code string) int {
	open, quote := 0, rune(0)
	escaped := false
	for _, r := range code {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case quote != 0:
			if r == quote || r == '\n' && quote != '`' {
				quote = 0
			}
		case r == '"' || r == '\'' || r == '`':
			quote = r
		case strings.ContainsRune("([{", r):
			open++
		case strings.ContainsRune(")]}", r):
			open--
		}
	}
	return open
}
