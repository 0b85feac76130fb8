package api_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

const filesURL = "/api/v1/sessions/ses_1/files"

// fileRequest returns a request whose body has no media type.
func fileRequest(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Header.Set("x-api-key", goodKey)
	return r
}

func TestSessionFilesAreWrittenAsSent(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"without a type":    func(*http.Request) {},
		"as bytes":          func(r *http.Request) { r.Header.Set("Content-Type", "application/octet-stream") },
		"as text":           func(r *http.Request) { r.Header.Set("Content-Type", "text/plain; charset=latin1") },
		"as invalid JSON":   func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"of unknown length": func(r *http.Request) { r.ContentLength = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			for _, status := range []int{201, 200} {
				r := fileRequest("PUT", filesURL+"/data/in.bin", strings.NewReader("a\x00b\xff"))
				change(r)
				if res := s.send(r); res.StatusCode != status || res.body != "" {
					t.Errorf("status %d, want %d: %s", res.StatusCode, status, res.body)
				}
			}
			if diff := cmp.Diff(map[string]string{"data/in.bin": "a\x00b\xff"}, s.sessions.files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSessionFilesMayBeEmpty(t *testing.T) {
	s := newServer(t)
	if res := s.send(fileRequest("PUT", filesURL+"/empty", nil)); res.StatusCode != 201 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	if res := s.send(fileRequest("GET", filesURL+"/empty", nil)); res.StatusCode != 200 || res.body != "" || res.Header.Get("Content-Length") != "0" {
		t.Errorf("status %d, %v: %s", res.StatusCode, res.Header, res.body)
	}
}

func TestSessionFilesAreAttachments(t *testing.T) {
	for path, want := range map[string]struct{ content, mediaType, disposition string }{
		"d/page.html":  {"<script>alert(1)</script>", "text/html", `attachment; filename=page.html`},
		"data.json":    {"{", "application/json", `attachment; filename=data.json`},
		"no extension": {"%PDF-1.7", "application/pdf", `attachment; filename="no extension"`},
		"ünï.csv":      {"a,b\n", "text/csv", `attachment; filename*=utf-8''%C3%BCn%C3%AF.csv`},
		"a\"b;c.txt":   {"x", "text/plain", `attachment; filename="a\"b;c.txt"`},
		"large.bin":    {strings.Repeat("x", 1<<20), "application/octet-stream", `attachment; filename=large.bin`},
	} {
		t.Run(path, func(t *testing.T) {
			s := newServer(t)
			s.sessions.files[path] = want.content
			target := filesURL + "/" + (&url.URL{Path: path}).EscapedPath()
			res := s.send(fileRequest("GET", target, nil))
			if res.StatusCode != 200 || res.body != want.content {
				t.Errorf("status %d: %.100s", res.StatusCode, res.body)
			}
			for name, value := range map[string]string{
				"Content-Type": want.mediaType, "Content-Disposition": want.disposition, "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "no-store",
			} {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			if res.ContentLength != int64(len(want.content)) {
				t.Errorf("the length is %d", res.ContentLength)
			}
			head := s.send(fileRequest("HEAD", target, nil))
			if head.StatusCode != 200 || head.body != "" || head.Header.Get("Content-Length") != res.Header.Get("Content-Length") {
				t.Errorf("HEAD: status %d, %v: %.100s", head.StatusCode, head.Header, head.body)
			}
		})
	}
}

func TestSessionFilesListAndDelete(t *testing.T) {
	s := newServer(t)
	if res := s.send(request("GET", filesURL, "")); res.StatusCode != 200 || res.body != `{"files":[]}` {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	s.sessions.files["d/a.txt"] = "abc"
	want := `{"files":[{"path":"d/a.txt","sizeBytes":3,"modifiedAt":"2026-04-04T08:23:21.123Z"}]}`
	if res := s.send(request("GET", filesURL, "")); res.StatusCode != 200 || res.body != want {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	s.sessions.calls = nil
	if res := s.send(request("DELETE", filesURL+"/d/a.txt", "")); res.StatusCode != 204 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	if diff := cmp.Diff([]string{`usr_ada delete "d/a.txt" of ses_1`}, s.sessions.calls); diff != "" {
		t.Error(diff)
	}
}

func TestSessionFilesMapErrorsToProblems(t *testing.T) {
	s := newServer(t)
	if res := s.send(fileRequest("GET", filesURL+"/d/none", nil)); res.StatusCode != 404 || res.problem(t).Detail != "There is no such file." {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	for code, status := range map[pyth.Code]int{pyth.CodeNotFound: 404, pyth.CodeConflict: 409, pyth.CodeTooLarge: 413, pyth.CodeOverloaded: 503, pyth.CodeInvalid: 400} {
		s.sessions.err = pyth.Errorf(code, "No.")
		methods := []string{"PUT", "GET", "DELETE"}
		if code == pyth.CodeTooLarge {
			methods = methods[:1]
		}
		for _, method := range methods {
			if res := s.send(fileRequest(method, filesURL+"/a", nil)); res.StatusCode != status || res.problem(t).Code != string(code) {
				t.Errorf("%s: status %d: %s", method, res.StatusCode, res.body)
			}
		}
	}
}

func TestSessionFilesRefuseEncodedBodies(t *testing.T) {
	s := newServer(t)
	packed := fileRequest("PUT", filesURL+"/a", strings.NewReader("x"))
	packed.Header.Set("Content-Encoding", "gzip")
	if res := s.send(packed); res.StatusCode != 415 {
		t.Errorf("compressed: status %d: %s", res.StatusCode, res.body)
	}
	announced := fileRequest("PUT", filesURL+"/a", strings.NewReader("x"))
	announced.ContentLength = 1<<30 + 1
	if res := s.send(announced); res.StatusCode != 413 || s.sessions.calls != nil {
		t.Errorf("announced as too large: status %d: %s", res.StatusCode, res.body)
	}
	short := fileRequest("PUT", filesURL+"/a", io.MultiReader(strings.NewReader("x"), broken{}))
	if res := s.send(short); res.StatusCode != 400 || res.problem(t).Errors[0].Location != "body" || len(s.sessions.files) > 0 {
		t.Errorf("incomplete body: status %d: %s", res.StatusCode, res.body)
	}
}

// The type "endless" is a request body without an end. It counts the bytes that the
// server reads.
type endless struct{ sent int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.sent += int64(len(p))
	return len(p), nil
}

type discarding struct{ pyth.SessionService }

func (discarding) WriteFile(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ string, content io.Reader) (bool, error) {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, content, make([]byte, 1<<20))
	return false, err
}

func TestSessionFilesLimitChunkedBodies(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Sessions = discarding{} })
	body := &endless{}
	if res := s.send(fileRequest("PUT", filesURL+"/a", body)); res.StatusCode != 413 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	if body.sent > 1<<30+1<<21 {
		t.Errorf("%d bytes were read", body.sent)
	}
}

func TestSessionFilesCutShortCloseConnection(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	l.sessions.files["a"], l.sessions.failAfter = strings.Repeat("x", 1<<20), 1<<10
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.addr+filesURL+"/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-api-key", goodKey)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%d bytes were read without an error", len(b))
	}
}

// line simulates a slow connection in a synctest bubble. In each interval, it transfers
// "chunk" bytes. A transfer after the deadline fails.
type line struct {
	interval time.Duration
	chunk    int
	deadline time.Time
}

func (l *line) pass(n int) error {
	time.Sleep(l.interval * time.Duration(n) / time.Duration(l.chunk))
	if !l.deadline.IsZero() && time.Now().After(l.deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// slowSender is a request body that arrives in chunks. The field "left" is the number of
// bytes that have not arrived yet.
type slowSender struct {
	*httptest.ResponseRecorder
	line
	left int
}

func (s *slowSender) SetReadDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *slowSender) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(s.chunk, s.left, len(p))
	s.left -= n
	return n, s.pass(n)
}

type slowReceiver struct {
	*httptest.ResponseRecorder
	line
}

func (s *slowReceiver) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *slowReceiver) Write(p []byte) (int, error) {
	if err := s.pass(len(p)); err != nil {
		return 0, err
	}
	return s.ResponseRecorder.Write(p)
}

func TestSessionFilesAllowSlowLargeUploads(t *testing.T) {
	for name, tt := range map[string]struct {
		line line
		size int
		ok   bool
	}{
		"16 MiB in a minute and more": {line{interval: time.Second, chunk: 256 << 10}, 16 << 20, true},
		"a byte each second":          {line{interval: time.Second, chunk: 1}, 100, false},
		"a few bytes in time":         {line{interval: time.Second, chunk: 1}, 20, true},
		"nothing at all":              {line{interval: time.Hour, chunk: 1}, 1, false},
	} {
		s := newServer(t, func(c *api.Config) { c.BodyTimeout, c.ResponseTimeout = 30*time.Second, 30*time.Second })
		t.Run("sending "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &slowSender{ResponseRecorder: httptest.NewRecorder(), line: tt.line, left: tt.size}
				start := time.Now()
				s.handler.ServeHTTP(c, fileRequest("PUT", filesURL+"/a", io.NopCloser(c)))
				switch took := time.Since(start); {
				case tt.ok && (c.Code != 201 || !c.deadline.IsZero()):
					t.Errorf("status %d after %v: %s; the deadline is %v", c.Code, took, c.Body, c.deadline)
				case !tt.ok && (c.Code != 400 || !strings.Contains(c.Body.String(), "was not received in time")):
					t.Errorf("status %d after %v: %s", c.Code, took, c.Body)
				}
			})
		})
		t.Run("receiving "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s.sessions.files["a"] = strings.Repeat("x", tt.size)
				c := &slowReceiver{ResponseRecorder: httptest.NewRecorder(), line: tt.line}
				start := time.Now()
				s.handler.ServeHTTP(c, fileRequest("GET", filesURL+"/a", nil))
				if ok := c.Body.Len() == tt.size; ok != tt.ok {
					t.Errorf("%d bytes after %v", c.Body.Len(), time.Since(start))
				}
			})
		})
	}
}

// attackFilePaths is part of TestAttack. It checks which paths of files the API
// refuses. The tests of the session service check the other paths.
func attackFilePaths(t *testing.T) {
	s := newServer(t)
	refused := []string{
		"", ".", "..", "../x", "/x", "a/../../b", "a/..", "a//b", "a/", "./a", "a/./b", "../../ses_2/files/x", "../files/x",
		"%2e", "%2e%2e", "%2e%2e/x", "..%2fx", "%2e%2e%2fx", "%2Fx", "a/%2e%2e/%2e%2e/b", "a%2f..%2f..%2fb", "a%2f%2fb", "a%2f", "%2e/a",
	}
	// These paths are clean, so the API passes them to the session service. The values of
	// the map are the paths that the service must receive.
	passed := map[string]string{
		"a%00b": "a\x00b", "%252e%252e/x": "%2e%2e/x", "a%2fb": "a/b", "a%0ab": "a\nb", "%ff": "\xff", "..a": "..a", `..%5cx`: `..\x`,
	}
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		for _, path := range refused {
			res := s.send(fileRequest(method, filesURL+"/"+path, nil))
			if p := res.problem(t); res.StatusCode != 400 || p.Code != "invalid_request" || !cmp.Equal(p.locations(), []string{"path.path"}) {
				t.Errorf("%s %q: status %d: %s", method, path, res.StatusCode, res.body)
			}
		}
	}
	if s.sessions.calls != nil {
		t.Errorf("the service received the calls %v", s.sessions.calls)
	}
	for sent, want := range passed {
		s.sessions.files = map[string]string{}
		if res := s.send(fileRequest("PUT", filesURL+"/"+sent, nil)); res.StatusCode != 201 {
			t.Errorf("%q: status %d: %s", sent, res.StatusCode, res.body)
		}
		if _, ok := s.sessions.files[want]; !ok {
			t.Errorf("with the path %q, the service stored %q", sent, s.sessions.files)
		}
	}
	// A URL matches no route if it contains ".." or "//" before the path of the file.
	for _, path := range []string{"/api/v1/sessions/../files/x/..", "/api/v1/sessions//files/x/..", "/api/v1/sessions/x/filesx/..", "/api/v1/x/.."} {
		if res := s.send(fileRequest("GET", path, nil)); res.StatusCode != 404 {
			t.Errorf("%q: status %d: %s", path, res.StatusCode, res.body)
		}
	}
	if res := s.send(fileRequest("POST", filesURL+"/a", nil)); res.StatusCode != 405 || res.Header.Get("Allow") != "DELETE, GET, HEAD, PUT" {
		t.Errorf("POST: status %d, %v", res.StatusCode, res.Header)
	}
}
