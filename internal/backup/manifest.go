package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// These constants are the names of the files in an archive.
const (
	ManifestName = "manifest.json"
	DatabaseName = "pyth-on.db"
	RootKeyName  = "root.key"
)

// format is the version of the archive format.
const format = 1

// maxRootKeyBytes is the maximum size of a file with root keys.
const maxRootKeyBytes = 4 << 10

// Manifest describes the content of an archive.
type Manifest struct {
	Format    int       `json:"format"`
	CreatedAt time.Time `json:"createdAt"`
	// Version is the version of the program that made the archive. Schema is the
	// version of the schema of the SQLite database in the archive.
	Version string `json:"version"`
	Schema  int64  `json:"schema"`
	// Source is the database of the server: "sqlite" or "postgresql".
	Source string `json:"source"`
	// RootKeys contains the IDs of the root keys that encrypt keys in the database. An
	// ID reveals nothing about the root key.
	RootKeys []string `json:"rootKeys"`
	Audit    Audit    `json:"audit"`
	// Rows contains the number of rows of each table.
	Rows  map[string]int64 `json:"rows"`
	Files []File           `json:"files"`
}

// Audit describes the audit log in the database.
type Audit struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
	// Key is the public key that verifies the signed checkpoint of the audit log.
	Key string `json:"key"`
}

// File describes a file in an archive.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"sizeBytes"`
	SHA256    string `json:"sha256"`
}

// HasRootKey reports whether the archive contains the root key.
func (m *Manifest) HasRootKey() bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == RootKeyName })
}

// SizeBytes returns the size of all files in the archive.
func (m *Manifest) SizeBytes() (bytes int64) {
	for _, f := range m.Files {
		bytes += f.SizeBytes
	}
	return bytes
}

// readManifest decodes a manifest and checks it.
func readManifest(text []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	if m.Format > format {
		return nil, fmt.Errorf("%w: it has the format %d; restore it with pyth-on %s or newer", ErrNewer, m.Format, m.Version)
	}
	names := map[string]bool{}
	for _, f := range m.Files {
		switch {
		case f.Name != DatabaseName && f.Name != RootKeyName:
			return nil, fmt.Errorf("the manifest lists the file %q, which is not part of a backup", f.Name)
		case names[f.Name]:
			return nil, fmt.Errorf("the manifest lists the file %s twice", f.Name)
		case f.SizeBytes < 0 || f.Name == RootKeyName && f.SizeBytes > maxRootKeyBytes:
			return nil, fmt.Errorf("the manifest lists %d bytes for the file %s", f.SizeBytes, f.Name)
		}
		names[f.Name] = true
	}
	if m.Format < 1 || !names[DatabaseName] {
		return nil, errors.New("the manifest lists no database")
	}
	return m, nil
}
