package e2e_test

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// shared is a server for tests that need no flags and do not change the server's
// settings. It starts when a test first needs it and stops after the last test.
var shared struct {
	once   sync.Once
	server *server
	err    error
}

// sharedServer returns the shared server, which has default settings. Each test must
// register an account. A test that checks processes, memory or metrics of the whole
// server must start a separate server.
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

// stopSharedServer stops the shared server if it is running. It returns an error if
// the server does not exit cleanly.
func stopSharedServer() error {
	s := shared.server
	if s == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.waitForCleanExit()
}
