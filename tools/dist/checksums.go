package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeChecksums writes a file with the SHA-256 checksums of all files in dir. The file
// has the format of sha256sum(1). It contains no checksums of hidden files, and no
// checksum of the file itself.
func writeChecksums(dir, to string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	return create(to, func(w io.Writer) error {
		for _, e := range entries {
			if e.Name() == filepath.Base(to) || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			sum, err := hashFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s  %s\n", hex.EncodeToString(sum), e.Name()); err != nil {
				return err
			}
		}
		return nil
	})
}

func hashFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
