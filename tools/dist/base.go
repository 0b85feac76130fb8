package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"strings"
)

// baseFiles contains files of the base layer of the container image. The layer with the
// server extends these files.
type baseFiles struct {
	passwd, group []byte
	// certificates contains the certificates of the package ca-certificates, sorted by
	// file name.
	certificates []byte
}

func readBase(base string) (*baseFiles, error) {
	f, err := os.Open(base)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := new(baseFiles)
	certificates := make(map[string][]byte)
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean(h.Name), "/")
		certificate := path.Dir(name) == "usr/share/ca-certificates/mozilla" && path.Ext(name) == ".crt"
		if h.Typeflag != tar.TypeReg || !certificate && name != "etc/passwd" && name != "etc/group" {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		switch {
		case certificate:
			certificates[name] = append(bytes.TrimSpace(content), '\n')
		case name == "etc/passwd":
			found.passwd = content
		default:
			found.group = content
		}
	}
	for _, name := range sorted(certificates) {
		found.certificates = append(found.certificates, certificates[name]...)
	}
	if len(found.passwd) == 0 || len(found.group) == 0 || len(found.certificates) == 0 {
		return nil, errors.New("the base of the image has no users, groups or certificates")
	}
	return found, nil
}
