package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

type directory struct {
	Entries []struct {
		Path, Type, Mode, Target string
		SizeBytes                int64
	}
}

// listTree returns the entries below the working directory as text.
func (s *session) listTree(t testing.TB) string {
	t.Helper()
	var d directory
	s.server.call(t, s.account, "GET", s.path("/directories?depth=64"), nil).want(t, 200, &d)
	var all []string
	for _, e := range d.Entries {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s:%s:%d %s", e.Path, e.Type, e.SizeBytes, e.Target)))
	}
	return strings.Join(all, ", ")
}

// whileRunning starts a program in the session, calls the function "do" while the program
// runs, and then ends the program.
func (s *session) whileRunning(t *testing.T, do func()) {
	t.Helper()
	x := make(chan *execution, 1)
	go func() {
		x <- s.runCode(t, "import os, time\nopen('running', 'w').close()\nwhile os.path.exists('running'):\n    time.sleep(0.01)\nprint('ended')")
	}()
	for !strings.Contains(s.listTree(t), "running:") {
		if t.Failed() {
			return
		}
	}
	do()
	s.server.call(t, s.account, "POST", s.path("/files:move"), object{"from": "running", "to": "done"}).want(t, 204, nil)
	(<-x).prints(t, "ended\n")
}

func TestDirectoriesWhileProgramRuns(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	call := func(method, path string, body any) *answer {
		t.Helper()
		return s.server.call(t, s.account, method, s.path(path), body)
	}
	s.whileRunning(t, func() {
		call("POST", "/directories/a/b", nil).want(t, 201, nil)
		call("POST", "/directories/a/b", nil).want(t, 200, nil)
		call("POST", "/directories/running", nil).refused(t, 409, "conflict")
		call("POST", "/directories/a/../b", nil).refused(t, 400, "invalid_request")
		call("POST", "/files:copy", object{"from": "running", "to": "a/b/copy"}).want(t, 204, nil)
		call("POST", "/files:copy", object{"from": "running", "to": "a/b/copy"}).refused(t, 409, "conflict")
		call("POST", "/files:move", object{"from": "a", "to": "x/y", "overwrite": true}).want(t, 204, nil)
		call("POST", "/files:move", object{"from": "a", "to": "../y"}).refused(t, 400, "invalid_request")
		call("POST", "/files:move", object{"from": "absent", "to": "y"}).refused(t, 404, "not_found")
		if got, want := s.listTree(t), "running:file:0, x:directory:0, x/y:directory:0, x/y/b:directory:0, x/y/b/copy:file:0"; got != want {
			t.Errorf("got %s", got)
		}
		call("DELETE", "/directories/x", nil).refused(t, 409, "conflict")
		call("DELETE", "/directories/running", nil).refused(t, 409, "conflict")
		call("DELETE", "/directories/x?recursive=true", nil).want(t, 204, nil)
		call("DELETE", "/directories/x?recursive=true", nil).refused(t, 404, "not_found")
	})
	// The user of programs owns all files.
	call("POST", "/directories/d/e", nil).want(t, 201, nil)
	s.runCode(t, "import os\nos.symlink('/etc', 'link')\nopen('d/e/f', 'w').write('0123456789')\nprint({os.stat(p).st_uid == os.getuid() for p in ('d', 'd/e', 'done')})").prints(t, "{True}\n")
	if got, want := s.listTree(t), "d:directory:0, d/e:directory:0, d/e/f:file:10, done:file:0, link:link:0 /etc"; got != want {
		t.Errorf("got %s", got)
	}
	call("GET", "/directories?path=link", nil).refused(t, 409, "conflict")
	for header, want := range map[string]string{
		"bytes=0-3": "206 0123 bytes 0-3/10", "bytes=8-": "206 89 bytes 8-9/10", "bytes=-3": "206 789 bytes 7-9/10", "bytes=5-100": "206 56789 bytes 5-9/10",
		"lines=1-2": "200 0123456789 ", "bytes=1-2,4-5": "200 0123456789 ", "bytes=3-1": "200 0123456789 ", "bytes=x": "200 0123456789 ",
	} {
		r := s.server.callWithHeader(t, http.Header{"X-Api-Key": {s.APIKey}, "Range": {header}}, "GET", s.path("/files/d/e/f"), nil)
		if got := fmt.Sprintf("%d %s %s", r.status, r.body, r.header.Get("Content-Range")); got != want {
			t.Errorf("%s: got %s", header, got)
		}
	}
	r := s.server.callWithHeader(t, http.Header{"X-Api-Key": {s.APIKey}, "Range": {"bytes=10-"}}, "GET", s.path("/files/d/e/f"), nil)
	r.refused(t, 416, "range_not_satisfiable")
	if got := r.header.Get("Content-Range"); got != "bytes */10" {
		t.Errorf("got %q", got)
	}
	multipart := http.Header{"X-Api-Key": {s.APIKey}, "Content-Type": {"multipart/form-data; boundary=x"}}
	for _, path := range []string{"/files/f", "/archive"} {
		s.server.callWithHeader(t, multipart, "PUT", s.path(path), "--x--").refused(t, 415, "unsupported_media_type")
	}
}

func (s *session) putArchive(t testing.TB, query, archive string) *answer {
	t.Helper()
	header := http.Header{"X-Api-Key": {s.APIKey}, "Content-Type": {"application/octet-stream"}}
	return s.server.callWithHeader(t, header, "PUT", s.path("/archive"+query), archive)
}

func TestArchives(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	s.runCode(t, "import os\nos.makedirs('src/a')\nopen('src/a/f', 'w').write('x' * 1_000_000)\nopen('src/run', 'w').write('#!')\nos.chmod('src/run', 0o755)\nos.symlink('/etc/passwd', 'src/link')")
	for format, mediaType := range map[string]string{"tar.gz": "application/gzip", "zip": "application/zip"} {
		r := s.server.call(t, s.account, "GET", s.path("/archive?path=src&format="+format), nil).want(t, 200, nil)
		if got := r.header.Get("Content-Type"); got != mediaType || !strings.Contains(r.header.Get("Content-Disposition"), "src."+format) {
			t.Errorf("got %v", r.header)
		}
		var result struct{ Entries int }
		s.putArchive(t, "?path=new/"+format+"&format="+format, string(r.body)).want(t, 200, &result)
		if result.Entries != 3 {
			t.Errorf("got %+v", result)
		}
		s.runCode(t, "d = 'new/"+format+"'\nprint(sorted(os.listdir(d)), len(open(d + '/a/f').read()), oct(os.stat(d + '/run').st_mode), os.stat(d + '/a').st_uid == os.getuid())").
			prints(t, "['a', 'run'] 1000000 0o100755 True\n")
	}
	s.server.call(t, s.account, "GET", s.path("/archive?path=absent"), nil).refused(t, 404, "not_found")
	s.server.call(t, s.account, "GET", s.path("/archive?format=rar"), nil).refused(t, 400, "invalid_request")
	s.putArchive(t, "?format=zip", "no archive").refused(t, 400, "invalid_request")
}

// watchFiles opens a stream of changes. The function "until" waits for an event, and
// returns the text of all events up to it.
func (s *session) watchFiles(t *testing.T, query string) (until func(event string) string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+s.path("/files:watch"+query), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", s.APIKey)
	res, err := s.server.http.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	var text strings.Builder
	buffer := make([]byte, 4096)
	until = func(event string) string {
		t.Helper()
		for !strings.Contains(text.String(), event) {
			n, err := res.Body.Read(buffer)
			text.Write(buffer[:n])
			if err != nil && !strings.Contains(text.String(), event) {
				t.Fatalf("got %s, %v", text.String(), err)
			}
		}
		return text.String()
	}
	until("event: start\n")
	return until, cancel
}

func TestWatchSessionFiles(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	until, _ := s.watchFiles(t, "?recursive=true")
	s.runCode(t, "import os\nopen('a', 'w').write('1')\nos.rename('a', 'b')\nos.makedirs('d/e')\nos.remove('b')")
	for _, want := range []string{
		"event: create\ndata: {\"path\":\"a\"}\n", "event: write\ndata: {\"path\":\"a\"}\n", "event: rename\ndata: {\"path\":\"b\",\"from\":\"a\"}\n",
		"event: create\ndata: {\"path\":\"d/e\",\"directory\":true}\n", "event: remove\ndata: {\"path\":\"b\"}\n",
	} {
		until(want)
	}
	s.runCode(t, "open('d/e/f', 'w').close()")
	until("event: create\ndata: {\"path\":\"d/e/f\"}\n")
	// The stream must also report changes that the API makes.
	s.callFile(t, "PUT", "put", "x").want(t, 201, nil)
	until("event: create\ndata: {\"path\":\"put\"}\n")
	s.server.call(t, s.account, "DELETE", s.path(""), nil).want(t, 204, nil)
	until("event: error\n")
	s.server.call(t, s.account, "GET", s.path("/files:watch"), nil).refused(t, 404, "not_found")
}

func tarArchive(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		h.Mode = 0o4777
		if h.Typeflag == tar.TypeReg {
			h.Size = 1
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, "x")
		}
	}
	_, _ = w.Close(), z.Close()
	return b.String()
}

// treeAttacks contains attacks on the operations that work with trees of files.
var treeAttacks = []attack{
	{"139_hostile_archives_change_nothing", func(t *testing.T, _ *server, a *account) {
		s := a.openSession(t, object{"limits": object{"diskBytes": 8 << 20}})
		s.runCode(t, "import os\nopen('keep', 'w').write('1')\nos.symlink('/tmp', 'tmp')\nos.mkdir('dir')")
		good := tar.Header{Typeflag: tar.TypeReg, Name: "good"}
		for name, h := range map[string]tar.Header{
			"dots": {Typeflag: tar.TypeReg, Name: "a/../../x"}, "absolute": {Typeflag: tar.TypeReg, Name: "/tmp/x"},
			"link": {Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"}, "hard link": {Typeflag: tar.TypeLink, Name: "l", Linkname: "/etc/passwd"},
			"device": {Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, "FIFO": {Typeflag: tar.TypeFifo, Name: "fifo"},
			"duplicate": {Typeflag: tar.TypeReg, Name: "./good"}, "through a link": {Typeflag: tar.TypeReg, Name: "tmp/x"},
			"over a directory": {Typeflag: tar.TypeReg, Name: "dir"}, "newline": {Typeflag: tar.TypeReg, Name: "a\nb"},
		} {
			if p := s.putArchive(t, "", tarArchive(t, good, h)).refused(t, 400, "invalid_request"); !strings.Contains(p.Detail, "nothing was changed") {
				t.Errorf("%s: got %s", name, p.Detail)
			}
		}
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		w := tar.NewWriter(z)
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Size: 1 << 30})
		_, _ = io.CopyN(w, zeroReader{}, 1<<30)
		_, _ = w.Close(), z.Close()
		s.putArchive(t, "", bomb.String()).refused(t, 413, "too_large")
		if got, want := s.listTree(t), "dir:directory:0, keep:file:1, tmp:link:0 /tmp"; got != want {
			t.Errorf("got %s", got)
		}
		s.runCode(t, "print(os.listdir('/tmp'), os.statvfs('.').f_bfree * os.statvfs('.').f_bsize > 7 << 20)").prints(t, "[] True\n")
		s.putArchive(t, "", tarArchive(t, good)).want(t, 200, nil)
		s.runCode(t, "print(oct(os.stat('good').st_mode))").prints(t, "0o100755\n")
	}},
	{"140_floods_of_changes_are_bounded", func(t *testing.T, _ *server, a *account) {
		s := a.openSession(t, object{})
		until, end := s.watchFiles(t, "")
		s.runCode(t, "for i in range(20_000):\n    open(f'f{i % 100}_{i}', 'w').close()\n    if i > 1000: __import__('os').remove(f'f{(i - 1000) % 100}_{i - 1000}')\nprint('flooded')", object{"timeoutMs": 120_000}).prints(t, "flooded\n")
		s.runCode(t, "open('last', 'w').close()")
		if got := until("\"last\""); !strings.Contains(got, "event: create\n") {
			t.Error("there is no event")
		}
		end()
	}},
	{"141_races_of_renames_stay_inside", func(t *testing.T, _ *server, a *account) {
		s := a.openSession(t, object{})
		s.runCode(t, `import os, threading
os.makedirs('d')
open('d/passwd', 'w').write('mine')
os.symlink('/etc', 'l')
def race():
    while True:
        try:
            os.rename('d', 'x'); os.rename('l', 'd'); os.rename('d', 'l'); os.rename('x', 'd')
        except OSError:
            pass
threading.Thread(target=race, daemon=True).start()`)
		read := http.Header{"X-Api-Key": {s.APIKey}, "Range": {"bytes=0-"}}
		for i := range 100 {
			if r := s.server.callWithHeader(t, read, "GET", s.path("/files/d/passwd"), nil); r.status == 206 && string(r.body) != "mine" {
				t.Fatalf("got %.100s", r.body)
			}
			s.server.call(t, s.account, "POST", s.path(fmt.Sprint("/directories/d/n", i)), nil)
			s.server.call(t, s.account, "POST", s.path("/files:copy"), object{"from": "d/passwd", "to": "copy", "overwrite": true})
		}
		if r := s.callFile(t, "GET", "copy", nil); r.status == 200 && string(r.body) != "mine" {
			t.Errorf("got %.100s", r.body)
		}
	}},
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
