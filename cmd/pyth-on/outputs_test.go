package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOutputsSelectOnlyFilesOfThePatterns(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		path     string
		want     bool
	}{
		{nil, "a.csv", true},
		{nil, ".git/config", false},
		{nil, "a/.envrc", false},
		{[]string{}, "a.csv", false},
		{[]string{"*.csv"}, "a.csv", true},
		{[]string{"*.csv"}, "a.txt", false},
		{[]string{"*"}, ".bashrc", false},
		{[]string{"**"}, ".git/config", false},
		{[]string{"**"}, "out/a.csv", true},
		{[]string{".cache/*"}, ".cache/a", true},
		{[]string{".cache/*"}, ".bashrc", false},
	} {
		if got := (&outputs{patterns: tt.patterns}).selects(tt.path); got != tt.want {
			t.Errorf("patterns %q, path %q: got %t", tt.patterns, tt.path, got)
		}
	}
}

func TestOutputsStayInTheirDirectory(t *testing.T) {
	dir := t.TempDir()
	o := &outputs{dir: filepath.Join(dir, "out")}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(o.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../a", "link/a", "/a"} {
		if err := o.save(path, nil); err == nil {
			t.Errorf("path %q was saved", path)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("entries %v, %v", entries, err)
	}
}

func TestCleanLinesKeepsLinesAndTabs(t *testing.T) {
	if got, want := cleanLines("a\n\tb\x1b]52;c;\x07\r\u202e"), "a\n\tb�]52;c;���"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOIDCConfigRefusesToOpenClosedServers(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		registration, create string
		domains              []string
		refused              bool
	}{
		{"open", "on", nil, false},
		{"closed", "on", nil, true},
		{"invite", "on", nil, true},
		{"closed", "off", nil, false},
		{"closed", "on", []string{"example.org"}, false},
	} {
		f := oidcFlags{
			OIDCIssuer: "https://login.example.org", OIDCClientID: "id", OIDCClientSecretFile: secret,
			OIDCCreateAccounts: tt.create, OIDCAllowedDomains: tt.domains,
		}
		if _, err := f.config("https://api.example.org", tt.registration); (err != nil) != tt.refused {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
