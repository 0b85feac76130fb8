package client

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

// newTestClient returns a client of a test server that uses the handler. The client
// does not wait between attempts. It records the value of Retry-After instead.
func newTestClient(t *testing.T, handler http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c, err := New(s.URL+"/", WithAPIKey("pyapi_test"))
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	c.wait = func(_ context.Context, a *attempt) error {
		after := time.Duration(0)
		if e, ok := errors.AsType[*Error](a.err); ok {
			after = e.RetryAfter
		}
		waited = append(waited, after)
		return nil
	}
	return c, &waited
}

func writeProblem(w http.ResponseWriter, status int, code ErrorCode, retryAfter string) {
	w.Header().Set("Content-Type", "application/problem+json")
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{
		Status: int64(status), Code: code, Title: "Title", Detail: "What happened.", RequestID: "req_1",
		Errors: []ErrorField{{Location: "body.code", Message: "must not be empty"}},
	})
}

func TestNewRefusesInvalidAddresses(t *testing.T) {
	for _, server := range []string{"", "example.org", "ftp://example.org", "https://", "https://user:password@example.org", "https://example.org/?a=b"} {
		if _, err := New(server); err == nil {
			t.Errorf("%q was accepted", server)
		}
	}
}

func TestRunRepeatsRequestsWithoutEffect(t *testing.T) {
	requests := 0
	c, waited := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		b, _ := io.ReadAll(r.Body)
		if got := string(b); got != `{"code":"print(42)","secrets":[]}` || r.Header.Get("X-Api-Key") != "pyapi_test" {
			t.Errorf("request %d: %s, %v", requests, got, r.Header)
		}
		switch requests {
		case 1:
			writeProblem(w, 429, ErrorCodeRateLimited, "7")
		case 2:
			writeProblem(w, 503, ErrorCodeOverloaded, "")
		default:
			_, _ = io.WriteString(w, `{"status": "succeeded", "exitCode": 0, "stdout": "42\n", "unknown": 1}`)
		}
	})
	run, err := c.Run(t.Context(), &ExecuteRequest{Code: "print(42)", Secrets: []string{}})
	if err != nil || run.Status != ExecutionStatusSucceeded || run.Stdout != "42\n" || run.ExitCode == nil || *run.ExitCode != 0 {
		t.Errorf("got %+v, %v", run, err)
	}
	if diff := cmp.Diff([]time.Duration{7 * time.Second, 0}, *waited); diff != "" {
		t.Error(diff)
	}
}

// TestDelayDoesNotOverflow checks the delay of clients with many retries. The context
// of the test has already ended, so waitToRetry returns the error of the context if the
// delay is valid.
func TestDelayDoesNotOverflow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for number := 1; number <= 200; number++ {
		if err := waitToRetry(ctx, &attempt{number: number, err: io.EOF}); !errors.Is(err, context.Canceled) {
			t.Errorf("attempt %d: got %v", number, err)
		}
	}
}

func TestRunDoesNotRepeatRequestsWithEffect(t *testing.T) {
	for name, answer := range map[string]struct {
		status     int
		code       ErrorCode
		retryAfter string
	}{
		"invalid request":     {400, ErrorCodeInvalidRequest, ""},
		"carried out":         {503, ErrorCodeUnavailable, "1"},
		"server failed":       {500, ErrorCodeInternal, ""},
		"quota of a day":      {429, ErrorCodeQuotaExceeded, "3600"},
		"unknown key":         {401, ErrorCodeUnauthenticated, ""},
		"conflict":            {409, ErrorCodeConflict, ""},
		"index not reachable": {502, ErrorCodeIndexUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			c, _ := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				writeProblem(w, answer.status, answer.code, answer.retryAfter)
			})
			_, err := c.Run(t.Context(), &ExecuteRequest{Code: "1"})
			e, ok := errors.AsType[*Error](err)
			if !ok || !HasCode(err, answer.code) || e.RequestID != "req_1" || requests != 1 {
				t.Errorf("got %v after %d requests", err, requests)
			}
			if want := fmt.Sprintf("What happened. (%d %s)\n  body.code: must not be empty", answer.status, answer.code); err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		})
	}
}

func TestLostConnectionIsRepeatedWithTheSameKey(t *testing.T) {
	var keys []string
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id": "ses_1"}`)
	})
	s, err := c.OpenSession(t.Context(), nil)
	if err != nil || s.ID != "ses_1" {
		t.Fatalf("got %+v, %v", s, err)
	}
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("the keys are %q", keys)
	}
	keys = nil
	if _, err := c.Run(t.Context(), &ExecuteRequest{Code: "1"}); err == nil || len(keys) != 1 {
		t.Errorf("a run without a key: %v after %d requests", err, len(keys))
	}
}

func TestAnswersOfOtherServersAreErrors(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"page":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.org", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := newTestClient(t, handler)
			if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "not from a Pyth-On server") {
				t.Errorf("got %v", err)
			}
		})
	}
}

const stream = "id: 1\nevent: start\ndata: {\"id\":\"run_1\"}\n\n: keep-alive\n\nid: 2\nevent: stdout\ndata: {\"text\":\"a\\n\"}\n\n" +
	"id: 3\nevent: unknown\ndata: {}\n\nid: 4\nevent: stderr\ndata: {\"text\":\"b\"}\n\n"

const streamEnd = "id: 5\nevent: result\ndata: {\"text/plain\":\"42\"}\n\nid: 6\nevent: file\ndata: {\"path\":\"a\",\"content\":\"YQ==\",\"encoding\":\"base64\"}\n\n" +
	"id: 7\nevent: end\ndata: {\"id\":\"run_1\",\"status\":\"succeeded\"}\n\n"

func describe(t *testing.T, e Event) string {
	t.Helper()
	switch e := e.(type) {
	case *Started:
		return "start " + e.ID
	case *Output:
		return fmt.Sprintf("output %q %t", e.Text, e.Stderr)
	case *Result:
		return fmt.Sprint("result ", e.Value)
	case *File:
		b, err := e.Bytes()
		if err != nil {
			t.Error(err)
		}
		return "file " + e.Path + " " + string(b)
	case *Ended:
		return "end " + string(e.Status)
	default:
		return fmt.Sprint(e)
	}
}

var wholeStream = []string{"start run_1", `output "a\n" false`, `output "b" true`, "result map[text/plain:42]", "file a a", "end succeeded"}

func TestStreamDecodesEvents(t *testing.T) {
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("Accept is %q", r.Header.Get("Accept"))
		}
		_, _ = io.WriteString(w, stream+streamEnd)
	})
	var got []string
	for e, err := range c.Stream(t.Context(), &ExecuteRequest{Code: "1"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, describe(t, e))
	}
	if diff := cmp.Diff(wholeStream, got); diff != "" {
		t.Error(diff)
	}
}

func TestStreamReportsFailures(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"connection lost": {stream, "the connection was lost"},
		"error event":     {"event: error\ndata: {\"code\":\"draining\",\"status\":503,\"title\":\"Stopping\"}\n\n", "Stopping (503 draining)"},
		"invalid event":   {"event: start\ndata: x\n\n", "not from a Pyth-On server"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.body) })
			var last error
			for _, err := range c.Stream(t.Context(), &ExecuteRequest{Code: "1"}) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), tt.want) {
				t.Errorf("got %v", last)
			}
		})
	}
}

func TestStreamClosesTheConnectionWhenTheLoopEnds(t *testing.T) {
	closed := make(chan struct{})
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, stream)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(closed)
	})
	for _, err := range c.Stream(t.Context(), &ExecuteRequest{Code: "1"}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	<-closed
}

func TestEventsContinueAfterALostConnection(t *testing.T) {
	var after []string
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		after = append(after, r.Header.Get("Last-Event-Id"))
		switch len(after) {
		case 1:
			_, _ = io.WriteString(w, stream)
		case 2:
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, streamEnd)
		}
	})
	var got []string
	for e, err := range c.Events(t.Context(), "run_1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, describe(t, e))
	}
	if diff := cmp.Diff(wholeStream, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", "4", "4"}, after); diff != "" {
		t.Error(diff)
	}
}

func TestListsFollowTheCursor(t *testing.T) {
	var queries []string
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		if len(queries) == 1 {
			_, _ = io.WriteString(w, `{"executions": [{"id": "a"}, {"id": "b"}], "nextCursor": "x"}`)
			return
		}
		_, _ = io.WriteString(w, `{"executions": [{"id": "c"}]}`)
	})
	all, err := Collect(c.Executions(t.Context(), ExecutionFilter{Label: "nightly", Since: time.Unix(0, 0)}))
	if err != nil || len(all) != 3 || all[2].ID != "c" {
		t.Errorf("got %+v, %v", all, err)
	}
	want := []string{"label=nightly&since=1970-01-01T00%3A00%3A00Z", "cursor=x&label=nightly&since=1970-01-01T00%3A00%3A00Z"}
	if diff := cmp.Diff(want, queries); diff != "" {
		t.Error(diff)
	}
}

func TestWriteFileSendsTheSameBytesAgain(t *testing.T) {
	var bodies, paths []string
	c, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies, paths = append(bodies, string(b)), append(paths, r.URL.EscapedPath())
		if len(bodies) == 1 {
			writeProblem(w, 503, ErrorCodeOverloaded, "")
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	s := &Session{client: c, SessionInfo: SessionInfo{ID: "ses_1"}}
	for _, content := range []string{"hello", ""} {
		if err := s.WriteFile(t.Context(), "a b/ü?.txt", strings.NewReader(content)); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"hello", "hello", ""}, bodies); diff != "" {
		t.Error(diff)
	}
	if paths[0] != "/api/v1/sessions/ses_1/files/a%20b/%C3%BC%3F.txt" {
		t.Errorf("the path is %s", paths[0])
	}
}

func TestEncryptionMatchesTheVectors(t *testing.T) {
	b, err := os.ReadFile("../docs/zero-knowledge-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Programs []struct {
			Comment, Code, Password string
			Payload                 ZKPayload
		}
		Sealed []struct{ Comment, Password, SandboxID, PrivateKeyHex, PublicKey string }
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Programs) == 0 || len(vectors.Sealed) == 0 {
		t.Fatal("a list of test vectors is empty")
	}
	decode := func(text string) []byte {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, v := range vectors.Programs {
		p := v.Payload
		got, err := encrypt(&lockbox.Box{
			Language: string(p.Language), Name: p.Name, Nonce: decode(p.Cipher.Nonce), KDF: lockbox.KDF{
				Salt: decode(p.KDF.Salt), Time: uint32(p.KDF.Time), MemoryKiB: uint32(p.KDF.MemoryKiB), Parallelism: uint8(p.KDF.Parallelism),
			},
		}, []byte(v.Code), []byte(v.Password))
		if diff := cmp.Diff(&p, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", v.Comment, err, diff)
		}
	}
	for _, v := range vectors.Sealed {
		private, err := hex.DecodeString(v.PrivateKeyHex)
		if err != nil {
			t.Fatal(err)
		}
		key, err := lockbox.ParseKey(private)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(ZKSandbox{SandboxID: v.SandboxID, PublicKey: v.PublicKey})
		})
		r, err := c.sealed(t.Context(), "report", []byte(v.Password), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, ok := r.body.(*ZKSealedExecuteRequest)
		if !ok {
			t.Fatalf("the body is %T", r.body)
		}
		if got, err := key.Unseal(decode(body.SealedPassword), v.SandboxID); err != nil || string(got) != v.Password {
			t.Errorf("%s: got %q, %v", v.Comment, got, err)
		}
	}
}

func TestEncryptUsesNewRandomValues(t *testing.T) {
	cost := KeyCost{Time: 1, MemoryKiB: 8, Parallelism: 1}
	one, err := Encrypt([]byte("1"), []byte("p"), LanguagePython, "n", cost)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Encrypt([]byte("1"), []byte("p"), LanguagePython, "n", cost)
	if err != nil {
		t.Fatal(err)
	}
	if one.KDF.Salt == two.KDF.Salt || one.Cipher.Nonce == two.Cipher.Nonce || one.Ciphertext == two.Ciphertext {
		t.Error("two payloads share random values")
	}
}

// TestClientRefusesNamesThatLeaveTheirPath checks that a name cannot lead a request to
// another operation, for example a name with "..".
func TestClientRefusesNamesThatLeaveTheirPath(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the server received %s", r.URL)
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/sessions/sess_1/files/../../../me/export", "/api/v1/secrets/..", "/api/v1/secrets/", "/api/v1/./me?x=1"} {
		if err := c.Call(t.Context(), "DELETE", path, nil, nil); err == nil {
			t.Errorf("path %q was sent", path)
		}
	}
}

// TestClientFollowsNoRedirectWithACustomHTTPClient checks that a redirect does not send
// the key to another host.
func TestClientFollowsNoRedirectWithACustomHTTPClient(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host received the key %q", r.Header.Get("X-Api-Key"))
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, err := New(server.URL, WithAPIKey("pyapi_x"), WithHTTPClient(new(http.Client)), WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "GET", "/api/v1/me", nil, nil); err == nil {
		t.Error("the redirect was no error")
	}
}
