package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// outputFlags select the files and rich values to save.
type outputFlags struct {
	Output    []string `name:"output" short:"o" sep:"none" env:"-" placeholder:"PATTERN" help:"Pattern of the files to save from the working directory of the program, for example *.csv. You can repeat this flag."`
	Results   bool     `env:"-" help:"Save the rich values of the program, such as figures, as files."`
	OutputDir string   `env:"-" default:"." placeholder:"DIR" help:"Directory for saved files and rich values (default: the working directory)."`
}

// outputs converts the flags to the settings for saving files and rich values. The
// field "patterns" is never nil. So without the flag --output, the command saves no
// file.
func (f *outputFlags) outputs() *outputs {
	return &outputs{dir: f.OutputDir, patterns: append([]string{}, f.Output...), results: f.Results}
}

// outputs saves the files and the rich values of a run in a directory. The program
// chooses the names of the files. So outputs uses an os.Root, because a name cannot
// lead out of an os.Root.
type outputs struct {
	dir string
	// patterns select the files to save. If patterns is nil, all files are selected,
	// except hidden files.
	patterns []string
	results  bool
	count    int
}

// selects reports whether the user wants to save the file. A server or a program must
// not be able to write other files, such as .git/config. A pattern selects hidden files
// only if a name in the pattern begins with a dot.
func (o *outputs) selects(name string) bool {
	if o.patterns == nil {
		return !isHidden(name)
	}
	return slices.ContainsFunc(o.patterns, func(s string) bool {
		p, err := workpath.ParsePattern(s)
		return err == nil && p.Match(path.Clean(name)) && (isHidden(s) || !isHidden(name))
	})
}

// isHidden reports whether the path contains a name that begins with a dot.
func isHidden(p string) bool {
	return slices.ContainsFunc(strings.Split(path.Clean(p), "/"), func(name string) bool { return strings.HasPrefix(name, ".") })
}

// resultExtensions maps the media types of rich values to file name extensions. Plain
// text is saved only if the rich value has no other media type.
var resultExtensions = []struct{ mediaType, extension string }{
	{"image/png", ".png"},
	{"image/jpeg", ".jpeg"},
	{"image/gif", ".gif"},
	{"image/webp", ".webp"},
	{"application/pdf", ".pdf"},
	{"image/svg+xml", ".svg"},
	{"text/html", ".html"},
	{"text/markdown", ".md"},
	{"text/latex", ".tex"},
	{"application/json", ".json"},
}

// saveFile writes a file of the run and prints its path.
func (o *outputs) saveFile(f *client.OutputFile) error {
	b, err := f.Bytes()
	if err != nil {
		return fmt.Errorf("the file %q: %w", f.Path, err)
	}
	return o.saveSelected(f.Path, b)
}

// saveSelected saves the file if the user has selected it.
func (o *outputs) saveSelected(name string, content []byte) error {
	if !o.selects(name) {
		fmt.Fprintf(os.Stderr, "pyth-on: did not save %s, because the file is hidden or --output does not select it\n", printable.Clean(name))
		return nil
	}
	return o.save(name, content)
}

// saveResult saves a rich value if the user has set --results. It writes one file for
// each media type of the value.
func (o *outputs) saveResult(value client.ResultValue) error {
	if !o.results {
		return nil
	}
	o.count++
	name := fmt.Sprintf("result-%d", o.count)
	saved := false
	for _, t := range resultExtensions {
		data, ok := value[t.mediaType]
		if !ok {
			continue
		}
		b, err := resultBytes(t.mediaType, data)
		if err != nil {
			return fmt.Errorf("result %d: %w", o.count, err)
		}
		if err := o.save(name+t.extension, b); err != nil {
			return err
		}
		saved = true
	}
	if text, ok := value["text/plain"].(string); ok && !saved {
		return o.save(name+".txt", []byte(text+"\n"))
	}
	return nil
}

// resultBytes returns the bytes of one media type of a rich value.
func resultBytes(mediaType string, data any) ([]byte, error) {
	text, isText := data.(string)
	switch {
	case mediaType == "application/json" || !isText:
		return json.Marshal(data)
	case mediaType == "image/svg+xml" || strings.HasPrefix(mediaType, "text/"):
		return []byte(text), nil
	default:
		return base64.StdEncoding.DecodeString(text)
	}
}

func (o *outputs) save(name string, content []byte) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("save %q: %w", name, err)
		}
	}
	if err := root.WriteFile(name, content, 0o644); err != nil {
		return fmt.Errorf("save %q: %w", name, err)
	}
	fmt.Fprintf(os.Stderr, "pyth-on: saved %s\n", printable.Clean(filepath.Join(o.dir, name)))
	return nil
}
