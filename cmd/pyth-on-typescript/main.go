// Command pyth-on-typescript compiles one TypeScript file to JavaScript with esbuild.
// Inside the sandbox, Node starts this command for each file that Node cannot compile
// itself.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/evanw/esbuild/pkg/api"
)

type request struct {
	// File is the file name to use in error messages and in the source map.
	File   string `json:"file"`
	Source string `json:"source"`
	// Tsconfig is the content of the file tsconfig.json. It is "" if this file does not
	// exist.
	Tsconfig string `json:"tsconfig"`
	// JSX is true if the file may contain JSX syntax.
	JSX bool `json:"jsx"`
}

type answer struct {
	Code  string `json:"code"`
	Map   string `json:"map"`
	Error *fault `json:"error,omitempty"`
}

// fault describes an error in the source. Line numbers begin with 1. Column numbers
// begin with 0 and count the bytes of UTF-8.
type fault struct {
	Text     string `json:"text"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	LineText string `json:"lineText"`
}

func main() {
	// Collect garbage only near the memory limit. Most compilations end before the
	// process reaches this limit, so they need no garbage collection.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(128 << 20)
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pyth-on-typescript: "+err.Error())
		os.Exit(1)
	}
}

func run(stdin io.Reader, stdout io.Writer) error {
	var r request
	if err := json.NewDecoder(stdin).Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return json.NewEncoder(stdout).Encode(compile(r))
}

// compile compiles the file in the request to JavaScript. If the source has an error,
// the answer describes the error.
func compile(r request) answer {
	loader := api.LoaderTS
	if r.JSX {
		loader = api.LoaderTSX
	}
	result := api.Transform(r.Source, api.TransformOptions{
		Loader:         loader,
		Sourcefile:     r.File,
		Sourcemap:      api.SourceMapExternal,
		SourcesContent: api.SourcesContentInclude,
		Charset:        api.CharsetUTF8,
		Target:         api.ESNext,
		// esbuild must compile decorators, because V8 does not support them.
		Supported:   map[string]bool{"decorators": false},
		TsconfigRaw: r.Tsconfig,
		LogLevel:    api.LogLevelSilent,
	})
	if len(result.Errors) == 0 {
		return answer{Code: string(result.Code), Map: string(result.Map)}
	}
	first := result.Errors[0]
	f := &fault{Text: first.Text}
	if at := first.Location; at != nil {
		f.Line, f.Column, f.LineText = at.Line, at.Column, at.LineText
	}
	return answer{Error: f}
}
