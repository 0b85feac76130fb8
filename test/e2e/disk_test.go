package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// dataDirOnSmallDisk returns a data directory on a separate small disk. A test can fill
// this disk without effects on other tests.
func dataDirOnSmallDisk(t *testing.T) string {
	t.Helper()
	data := mountDisk(t, 512*mib)
	for _, image := range append(slices.Clone(builtInImages), downloadedNode(t)...) {
		from := must(os.Open(image))(t)
		to := must(os.Create(filepath.Join(data, filepath.Base(image))))(t)
		must(io.Copy(to, from))(t)
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func mountDisk(t *testing.T, bytes int64) string {
	t.Helper()
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		t.Skipf("only root can mount a disk: %v", err)
	}
	t.Cleanup(func() {
		// The disk cannot be unmounted until the kernel has closed the files of killed
		// processes. So try again until it succeeds.
		eventually(t, "the disk is free", func() bool { return syscall.Unmount(data, 0) == nil })
	})
	return data
}

func fillDisk(t *testing.T, dir string) string {
	t.Helper()
	fill := filepath.Join(dir, "fill")
	f := must(os.Create(fill))(t)
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			return fill
		}
	}
}

// TestAttack108ServerRecoversFromFullDisk fills the server's disk. It is not part of
// TestAttack, because it needs a server on a separate disk.
func TestAttack108ServerRecoversFromFullDisk(t *testing.T) {
	t.Parallel()
	data := dataDirOnSmallDisk(t)
	s := startServerIn(t, data, nil)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "canary-value")
	fill := fillDisk(t, data)
	var refused *answer
	for range 100 { // Send several requests, because the last page of the database log can have room for some entries.
		if res := s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}); res.status != 200 {
			refused = res
			break
		}
	}
	if refused == nil {
		t.Fatal("the disk is not full")
	}
	refused.refused(t, 503, "unavailable")
	if refused.header.Get("Retry-After") == "" {
		t.Errorf("%v", refused.header)
	}
	// The server logs the error after it has sent the answer. So wait for the log.
	eventually(t, "the log says that the disk is full", func() bool { return strings.Contains(s.log.String(), "database or disk is full") })
	s.call(t, a, "POST", "/api/v1/keys", object{"name": "another"}).refused(t, 503, "unavailable")
	s.call(t, a, "GET", "/api/v1/keys", nil).want(t, 200, nil)
	// A run with secrets needs an entry in the audit log. On a full disk, the server
	// cannot write this entry, so it must not run the program.
	leak := object{"code": "import os; print(len(os.environ['TOKEN']), flush=True)"}
	s.callWithHeader(t, a.streamHeader(), "POST", "/api/v1/execute", leak).refused(t, 503, "unavailable")
	s.call(t, nil, "GET", "/readyz", nil).refused(t, 503, "unavailable")
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.execute(t, leak).prints(t, "12\n")
	s.kill(t)
	a.server = startServerIn(t, data, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.server.stop(t)
}
