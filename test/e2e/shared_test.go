package e2e_test

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// shared is the server for tests that need no flags and change nothing
// permanently. It starts at the first use and stops after the last test.
var shared struct {
	once   sync.Once
	server *server
	err    error
}

// sharedServer returns a running server with default settings. Tests register
// their own accounts. A test that checks resources of the whole server
// (processes, memory, metrics) starts a separate server instead.
func sharedServer(t testing.TB) *server {
	t.Helper()
	shared.once.Do(func() {
		data := filepath.Join(filepath.Dir(imageDir), "shared")
		if shared.err = os.Mkdir(data, 0o700); shared.err != nil {
			return
		}
		if shared.err = linkImages(data); shared.err == nil {
			shared.server, shared.err = launch(data, nil, defaultStock...)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// stopSharedServer stops the shared server if a test has used it. It returns an
// error if the server does not stop cleanly.
func stopSharedServer() error {
	s := shared.server
	if s == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.waitForCleanExit()
}
