package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestBootExplainsExecutableThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	forbidden := filepath.Join(dir, "forbidden")
	if err := os.WriteFile(forbidden, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for executable, hint := range map[string]string{
		filepath.Join(dir, "removed"): "restart the server",
		forbidden:                     "allow it, or choose another directory",
	} {
		l, err := New(Config{Executable: executable, Image: os.DevNull, StateDir: filepath.Join(dir, "state")})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := l.Boot(t.Context(), pyth.Python, "", pyth.Layers{}); err == nil {
			_ = s.Close()
			t.Errorf("%s: a sandbox started", executable)
		} else if !strings.Contains(err.Error(), executable) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", executable, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
