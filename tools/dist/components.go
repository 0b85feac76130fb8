package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"io"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"
)

// executables returns the files whose Go modules are in the list of components. The
// first file is the binary of the server, which embeds the other three files.
func executables() []string {
	return []string{
		"bin/pyth-on",
		"internal/sandbox/executable/bin/pyth-on-sandbox",
		"internal/sandbox/guest/bin/pyth-on-guest",
		"internal/sandbox/guest/bin/pyth-on-typescript",
	}
}

// document is the list of components of a release. The format is CycloneDX 1.6.
type document struct {
	Format       string      `json:"bomFormat"`
	SpecVersion  string      `json:"specVersion"`
	SerialNumber string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	URL     string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// writeComponents writes the list of components of a release. The list contains the Go
// modules in the binary, the Go standard library and Python.
func (r *release) writeComponents(to string) error {
	found := make(map[string]component)
	for _, name := range executables() {
		info, err := buildinfo.ReadFile(r.path(name))
		if err != nil {
			return err
		}
		add := func(c component) { found[c.URL] = c }
		add(golang("std", strings.TrimPrefix(info.GoVersion, "go")))
		for _, m := range info.Deps {
			add(module(m))
			if m.Path == "github.com/kluctl/go-embed-python" {
				add(python(m.Version))
			}
		}
	}
	sum, err := hashFile(r.binary())
	if err != nil {
		return err
	}
	d := document{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		// Compute the serial number from the binary, so that the same binary always has
		// the same serial number.
		SerialNumber: uuid.NewHash(sha256.New(), uuid.NameSpaceURL, sum, 8).URN(),
		Metadata: metadata{
			Timestamp: r.Time.Format("2006-01-02T15:04:05Z"),
			Component: component{
				Type: "application", Name: "pyth-on", Version: r.Version,
				URL:    "pkg:golang/github.com/pyth-on/pyth-on@" + r.Commit,
				Hashes: []hash{{Algorithm: "SHA-256", Content: hex.EncodeToString(sum)}},
			},
		},
	}
	for _, url := range sorted(found) {
		d.Components = append(d.Components, found[url])
	}
	return create(to, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(d)
	})
}

// module returns the component for a Go module. If go.mod replaces the module, it
// returns the component for the replacement.
func module(m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	return golang(m.Path, m.Version)
}

func golang(path, version string) component {
	return component{Type: "library", Name: path, Version: version, URL: "pkg:golang/" + path + "@" + version}
}

// python returns the component for the embedded Python. The Go module with Python has a
// version of the form v0.0.0-3.14.6-20260610-1.
func python(version string) component {
	_, rest, _ := strings.Cut(version, "-")
	number, _, _ := strings.Cut(rest, "-")
	return component{Type: "application", Name: "cpython", Version: number, URL: "pkg:generic/cpython@" + number}
}
