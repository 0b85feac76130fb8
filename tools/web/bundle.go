package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	// publicPath is the path of the assets on the server.
	publicPath = "/page/"
	entry      = "src/main.tsx"
)

// output holds the files of the page by name.
type output map[string][]byte

// bundle returns the scripts and the style sheet of the page, and index.html with links
// to them. Their names contain hashes of their contents, so browsers can store them
// forever. The page imports a file of the JavaScript library as pyth-on/NAME.js, from the
// folder client.
func bundle(source, client, modules string) (output, error) {
	dir, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	if client, err = filepath.Abs(client); err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir: dir,
		EntryPoints:   []string{entry},
		NodePaths:     []string{modules},
		Alias:         map[string]string{"pyth-on": client},
		Outdir:        "out",
		Bundle:        true, Splitting: true, Metafile: true,
		Format: api.FormatESModule, Target: api.ES2022, Platform: api.PlatformBrowser,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		JSX: api.JSXAutomatic, JSXImportSource: "preact",
		EntryNames: "[name]-[hash]", ChunkNames: "[name]-[hash]", AssetNames: "[name]-[hash]",
		LegalComments: api.LegalCommentsNone, // The file licenses.txt has all licenses.
		Charset:       api.CharsetUTF8,
		LogLevel:      api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("bundle the page: %d errors", len(result.Errors))
	}
	files := output{}
	for _, f := range result.OutputFiles {
		files[filepath.Base(f.Path)] = f.Contents
	}
	if err := files.addDocuments(dir, result.Metafile); err != nil {
		return nil, err
	}
	return files, nil
}

// addDocuments adds index.html with links to the entry's files, and the other files of
// the folder static.
func (o output) addDocuments(source, metafile string) error {
	head, err := links(metafile)
	if err != nil {
		return err
	}
	static := filepath.Join(source, "static")
	entries, err := os.ReadDir(static)
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(static, e.Name()))
		if err != nil {
			return err
		}
		if e.Name() == "index.html" {
			data = bytes.Replace(data, []byte("<!-- links -->"), []byte(head), 1)
		}
		o[e.Name()] = data
	}
	return nil
}

// links returns the elements that load the style sheet, the script of the entry and the
// chunks that the script imports statically.
func links(metafile string) (string, error) {
	var meta struct {
		Outputs map[string]struct {
			EntryPoint, CSSBundle string
			Imports               []struct{ Path, Kind string }
		}
	}
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		return "", err
	}
	for name, out := range meta.Outputs {
		if out.EntryPoint != entry || !strings.HasSuffix(name, ".js") {
			continue
		}
		lines := []string{
			fmt.Sprintf(`<link rel="stylesheet" href="%s%s">`, publicPath, filepath.Base(out.CSSBundle)),
			fmt.Sprintf(`<script type="module" src="%s%s"></script>`, publicPath, filepath.Base(name)),
		}
		for _, i := range out.Imports {
			if i.Kind == "import-statement" {
				lines = append(lines, fmt.Sprintf(`<link rel="modulepreload" href="%s%s">`, publicPath, filepath.Base(i.Path)))
			}
		}
		return strings.Join(lines, "\n"), nil
	}
	return "", errors.New("the bundle has no entry")
}

// addLicenses adds a file with the licenses of all packages.
func (o output) addLicenses(modules string, l *lockfile) error {
	text := new(bytes.Buffer)
	for _, p := range l.packages {
		paths, err := filepath.Glob(filepath.Join(modules, filepath.FromSlash(p.name), "LICENSE*"))
		if err != nil {
			return err
		}
		if len(paths) == 0 {
			return fmt.Errorf("the npm package %s has no license", p.name)
		}
		license, err := os.ReadFile(slices.Min(paths))
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "%s %s\n\n%s\n\n", p.name, p.version, bytes.TrimSpace(license))
	}
	o["licenses.txt"] = text.Bytes()
	return nil
}

// write replaces the files in dir. All files are compressed, because nearly all clients
// accept gzip.
func (o output) write(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.gz"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, content := range o {
		compressed := new(bytes.Buffer)
		w, err := gzip.NewWriterLevel(compressed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".gz"), compressed.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
