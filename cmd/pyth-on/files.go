package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lines returns the non-empty lines of a file. It returns no lines if path is "".
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

// onlyLine returns the only non-empty line of a file. It returns an error if the
// file does not have exactly one such line, and "" if path is "". The parameter
// "content" names the kind of content for the error message.
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

// replaceFile writes a file and moves it to path, so that readers see either the old
// or the new content.
func replaceFile(path string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
