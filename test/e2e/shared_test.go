package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// onceServer is a server that starts when a test needs it for the first time.
type onceServer struct {
	once   sync.Once
	server *server
	err    error
}

// shared and sharedPostgres are two servers that many tests share. These tests need no
// flags and do not change the settings of the server. The servers stop after the last
// test.
var shared, sharedPostgres onceServer

// sharedServer returns the shared server, which has the default settings. Each test
// must register an account. If a test checks processes, memory or metrics of the whole
// server, it must start a separate server.
func sharedServer(t testing.TB) *server {
	t.Helper()
	if usesWorkers() {
		return workersServer(t)
	}
	s, name := &shared, "shared"
	if usesPostgres(t) {
		// The path of one shared server must not begin with the path of the other,
		// because processesMentioning searches for the path.
		s, name = &sharedPostgres, "postgres-shared"
	}
	s.once.Do(func() { s.server, s.err = launchShared(name, usesPostgres(t)) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

func launchShared(name string, postgres bool) (*server, error) {
	data := filepath.Join(filepath.Dir(imageDir), name)
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if err := linkImages(data); err != nil {
		return nil, err
	}
	stock := defaultStock
	if postgres {
		if _, err := databases.assign(data); err != nil {
			return nil, err
		}
		if os.Getenv(databaseOfTests) == "" {
			stock = noStock // Few tests use this server.
		}
	}
	return launch(data, nil, stock...)
}

// stopSharedServers stops the shared servers that are running. It returns an error if
// a server does not exit cleanly.
func stopSharedServers() error {
	var errs []error
	for _, s := range []*server{shared.server, sharedPostgres.server} {
		if s != nil {
			errs = append(errs, s.stopCleanly())
		}
	}
	return errors.Join(append(errs, stopSharedWorkers())...)
}

// stopCleanly stops the server and waits until it has exited.
func (s *server) stopCleanly() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.waitForCleanExit()
}
