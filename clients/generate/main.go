// Command generate writes the types of the client libraries from an OpenAPI document.
//
// Usage: generate DOCUMENT REPOSITORY
//
// The command writes one file for each client library. It writes the files below the
// directory REPOSITORY.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// files maps the path of each generated file to the function that returns its content.
var files = map[string]func(*document) (string, error){
	"client/types.gen.go":                         goTypes,
	"clients/javascript/types.d.ts":               typeScriptTypes,
	"clients/python/src/pyth_on_client/_types.py": pythonTypes,
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate DOCUMENT REPOSITORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path, repository string) error {
	d, err := read(path)
	if err != nil {
		return err
	}
	for name, write := range files {
		text, err := write(d)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(repository, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
