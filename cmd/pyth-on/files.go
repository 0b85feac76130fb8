package main

import (
	"fmt"
	"os"
	"strings"
)

// lines returns the non-empty lines of a file. If "path" is "", it returns nil.
func lines(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found, nil
}

// onlyLine returns the only non-empty line of a file. It returns an error if the file
// has no such line or more than one. If "path" is "", it returns "". The parameter
// "content" says what the file must contain, for error messages.
func onlyLine(path, content string) (string, error) {
	all, err := lines(path)
	if err != nil || path == "" {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("%s must contain exactly one line, the %s", path, content)
	}
	return all[0], nil
}
