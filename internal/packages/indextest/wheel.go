package indextest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Wheel describes a Python wheel for a test.
type Wheel struct {
	Name, Version string
	// Requires contains the dependencies in the syntax of METADATA.
	Requires []string
	// Tag is the compatibility tag in the file name. The value "" means "py3-none-any".
	Tag string
	// Files maps paths to contents. Pack adds the metadata files.
	Files map[string]string
	// Raw contains headers of additional zip entries, for example with hostile paths. The
	// constant Hostile is the content of these entries.
	Raw []*zip.FileHeader
}

// Hostile is the content of the entries in Wheel.Raw.
const Hostile = "/etc/passwd"

// Filename returns the file name of the wheel.
func (w Wheel) Filename() string {
	tag := w.Tag
	if tag == "" {
		tag = "py3-none-any"
	}
	return fmt.Sprintf("%s-%s.whl", w.stem(), tag)
}

func (w Wheel) stem() string { return strings.ReplaceAll(w.Name, "-", "_") + "-" + w.Version }

// Pack returns the wheel as a zip file. Two equal wheels give the same bytes.
func (w Wheel) Pack() ([]byte, error) {
	files := maps.Clone(w.Files)
	if files == nil {
		files = map[string]string{}
	}
	info := w.stem() + ".dist-info/"
	files[info+"METADATA"] = w.metadata()
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	files[info+"RECORD"] = ""
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := write(z, &zip.FileHeader{Name: name, Method: zip.Deflate}, files[name]); err != nil {
			return nil, err
		}
	}
	for _, h := range w.Raw {
		if err := write(z, h, Hostile); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (w Wheel) metadata() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.Name, w.Version)
	for _, r := range w.Requires {
		fmt.Fprintf(&b, "Requires-Dist: %s\n", r)
		if _, extra, ok := strings.Cut(r, "extra == "); ok {
			fmt.Fprintf(&b, "Provides-Extra: %s\n", strings.Trim(extra, "'"))
		}
	}
	return b.String() + "\n"
}

func write(z *zip.Writer, h *zip.FileHeader, content string) error {
	f, err := z.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	return err
}
