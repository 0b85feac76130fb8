package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/backup"
)

func ignore(string, int64, int64) {}

var made = time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)

// write writes an archive and returns its path and content.
func write(t *testing.T) (path string, content []byte) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for name, text := range map[string]string{backup.DatabaseName: strings.Repeat("database ", 10_000), backup.RootKeyName: strings.Repeat("k", 32)} {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(dir, "archive")
	m := &backup.Manifest{CreatedAt: made, Version: "v1", Schema: 18, Source: "sqlite"}
	if err := backup.Write(t.Context(), path, m, files, ignore); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestExtractReturnsWhatWriteStored(t *testing.T) {
	path, _ := write(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	inspected, err := backup.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := backup.Verify(t.Context(), path, ignore)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	extracted, err := backup.Extract(t.Context(), path, dir, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inspected, verified) + cmp.Diff(verified, extracted); diff != "" {
		t.Error(diff)
	}
	if !inspected.HasRootKey() || !inspected.CreatedAt.Equal(made) || inspected.SizeBytes() != 90_032 {
		t.Errorf("%+v", inspected)
	}
	for name, want := range map[string]string{backup.DatabaseName: strings.Repeat("database ", 10_000), backup.RootKeyName: strings.Repeat("k", 32)} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := backup.Extract(t.Context(), path, dir, ignore); !errors.Is(err, os.ErrExist) {
		t.Errorf("existing files: %v", err)
	}
}

func TestVerifyFindsEveryChangedByte(t *testing.T) {
	path, content := write(t)
	// The test does not change every byte of an archive. Tar headers contain fields that
	// a backup does not use, and the end of an archive is padding. But Verify must detect
	// a change of any byte in a file.
	inspected, err := backup.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	database := bytes.Index(content, []byte("database database"))
	key := bytes.Index(content, []byte("kkkkkkkk"))
	for _, at := range []int{database, database + 45_000, database + 89_999, key, key + 31, 600} {
		damaged := bytes.Clone(content)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := backup.Verify(t.Context(), path, ignore)
		if err == nil && cmp.Equal(m, inspected) {
			t.Errorf("a changed byte at %d was not found", at)
		}
	}
}

func TestVerifyFindsCutArchives(t *testing.T) {
	path, content := write(t)
	end := bytes.LastIndex(content, []byte("database ")) + len("database ")
	for _, length := range []int{0, 100, 512, 700, 1500, 5000, 50_000, end - 1} {
		if err := os.WriteFile(path, content[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Verify(t.Context(), path, ignore); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("an archive of %d bytes: %v", length, err)
		}
	}
}

// entry is a file in a malicious archive.
type entry struct {
	name, text string
	kind       byte
	link       string
}

func TestExtractRefusesHostileArchives(t *testing.T) {
	hash := strings.Repeat("0", 64)
	manifest := func(files ...backup.File) entry {
		text, err := json.Marshal(backup.Manifest{Format: 1, Files: files})
		if err != nil {
			t.Fatal(err)
		}
		return entry{name: backup.ManifestName, text: string(text)}
	}
	database := backup.File{Name: backup.DatabaseName, SizeBytes: 1, SHA256: hash}
	for name, entries := range map[string][]entry{
		"a path to the parent":       {manifest(database, backup.File{Name: "../escaped", SizeBytes: 1}), {name: "../escaped", text: "x"}},
		"an absolute path":           {manifest(database, backup.File{Name: "/tmp/escaped", SizeBytes: 1}), {name: "/tmp/escaped", text: "x"}},
		"an entry not listed":        {manifest(database), {name: "../escaped", text: "x"}},
		"a second entry":             {manifest(backup.File{Name: backup.DatabaseName, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}), {name: backup.DatabaseName}, {name: "../escaped", text: "x"}},
		"a symbolic link":            {manifest(database), {name: backup.DatabaseName, kind: tar.TypeSymlink, link: "/etc/passwd"}},
		"a hard link":                {manifest(database), {name: backup.DatabaseName, kind: tar.TypeLink, link: "/etc/passwd"}},
		"the database twice":         {manifest(database, database), {name: backup.DatabaseName, text: "x"}},
		"a larger file":              {manifest(database), {name: backup.DatabaseName, text: "xx"}},
		"a negative size":            {manifest(backup.File{Name: backup.DatabaseName, SizeBytes: -1})},
		"a large root key":           {manifest(database, backup.File{Name: backup.RootKeyName, SizeBytes: 1 << 30})},
		"no database":                {manifest()},
		"no manifest":                {{name: backup.DatabaseName, text: "x"}},
		"a wrong hash":               {manifest(database), {name: backup.DatabaseName, text: "x"}},
		"a manifest that is no JSON": {{name: backup.ManifestName, text: "{"}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "dir")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "archive")
			if err := os.WriteFile(path, archive(t, entries), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := backup.Extract(t.Context(), path, dir, ignore); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			if found, err := os.ReadDir(parent); err != nil || len(found) != 1 {
				t.Errorf("files outside the directory: %v, %v", found, err)
			}
		})
	}
}

func TestInspectRefusesNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive")
	content := archive(t, []entry{{name: backup.ManifestName, text: `{"format": 2, "version": "v9", "files": [{"name": "keys"}]}`}})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Inspect(path); !errors.Is(err, backup.ErrNewer) || !strings.Contains(err.Error(), "v9") {
		t.Errorf("got %v", err)
	}
}

func archive(t *testing.T, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		if err := w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.text)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteStopsWithContext(t *testing.T) {
	dir := t.TempDir()
	database := filepath.Join(dir, "db")
	if err := os.WriteFile(database, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(dir, "archive")
	err := backup.Write(ctx, path, &backup.Manifest{}, map[string]string{backup.DatabaseName: database}, func(step string, _, _ int64) {
		if strings.HasPrefix(step, "Writing") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the archive still exists: %v", err)
	}
}
