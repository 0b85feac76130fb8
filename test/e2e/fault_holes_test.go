package e2e_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestSessionSparseFileDelaysNothing reads sparse files: files that are much larger
// than their content on the disk. The reads must not delay other requests.
func TestSessionSparseFileDelaysNothing(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, code := range map[string]string{
		"python":     "import os\nfor name, size in ('a', 1 << 50), ('b', 1 << 40), ('c', (100 << 20) + 1), ('d', 90 << 20):\n    open(name, 'w').close(); os.truncate(name, size)\nNone",
		"javascript": "fs = require('fs'); for (const [n, s] of [['a', 2 ** 50], ['b', 2 ** 40], ['c', 104857601], ['d', 94371840]]) { fs.writeFileSync(n, ''); fs.truncateSync(n, s); }",
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			s.runCode(t, code, object{"language": language, "results": false}).ends(t, "succeeded")
			for _, name := range []string{"a", "b", "c"} {
				s.callFile(t, "GET", name, nil).refused(t, 409, "conflict")
				if got := s.callFile(t, "HEAD", name, nil); got.status != 409 {
					t.Errorf("HEAD of %s: status %d", name, got.status)
				}
			}
			// The server sends a sparse file completely if the file is not larger than
			// the size limit of the session's disk.
			get := s.callFile(t, "GET", "d", nil).want(t, 200, nil)
			if len(get.body) != 90<<20 {
				t.Errorf("got %d bytes", len(get.body))
			}
			for range 5 {
				head := s.callFile(t, "HEAD", "d", nil).want(t, 200, nil)
				if head.header.Get("Content-Length") != "94371840" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
					t.Errorf("got %v", head.header)
				}
				s.readPart(t, "d", 100_000)
			}
			x := s.runCode(t, "1", object{"language": language, "outputFiles": []string{"a", "b", "d"}}).ends(t, "succeeded")
			if len(x.Files) != 0 || len(x.FilesSkipped) != 3 {
				t.Error(x)
			}
			s.server.call(t, a, "DELETE", s.path(""), nil).want(t, 204, nil)
		})
	}
}

// readPart reads the first bytes of a session file and closes the connection.
func (s *session) readPart(t *testing.T, name string, bytes int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := must(http.NewRequestWithContext(ctx, "GET", s.server.URL+s.path("/files/"+name), nil))(t)
	req.Header.Set("X-Api-Key", s.APIKey)
	res := must(s.server.http.Do(req))(t)
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, bytes); err != nil {
		t.Fatal(err)
	}
}

// TestServeStopsDuringFileDownload stops the server while a client downloads a file.
// The client has read only a part of the file and has stopped reading.
func TestServeStopsDuringFileDownload(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--drain-timeout=5m")
	x := s.register(t).openSession(t, object{"idleTimeoutMs": 10_000})
	x.runCode(t, "import os\nopen('f', 'w').close(); os.truncate('f', 90 << 20); os.truncate('main.bin', 1 << 50) if os.path.exists('main.bin') else None").ends(t, "succeeded")
	x.readPart(t, "f", 1000)
	eventually(t, "the idle session ends", func() bool {
		return s.call(t, x.account, "GET", "/api/v1/sessions", nil).want(t, 200, nil).status == 200 &&
			string(s.call(t, x.account, "GET", "/api/v1/sessions", nil).body) == "{\"sessions\":[]}"
	})
	begun := time.Now()
	s.stop(t)
	if d := time.Since(begun); d > time.Minute {
		t.Errorf("the stop took %v", d)
	}
}
