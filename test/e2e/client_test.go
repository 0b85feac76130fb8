package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

type object = map[string]any

type account struct {
	server *server
	email  string
	// If the field "isolation" is not "", the test client adds it to each request that
	// runs a program.
	isolation string
	authResponse
}

type authResponse struct {
	Token        string
	APIKey       string
	RefreshToken string
	User         struct{ ID, Email string }
}

const password = "correct horse battery"

var accountNumber atomic.Int64

func (s *server) register(t testing.TB) *account {
	t.Helper()
	a := &account{server: s, email: fmt.Sprintf("user%d@example.org", accountNumber.Add(1))}
	s.call(t, nil, "POST", "/api/register", object{"email": a.email, "password": password}).want(t, 201, &a.authResponse)
	return a
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// The method "want" checks the status code. If "into" is not nil, the method decodes
// the JSON body into this variable.
func (a *answer) want(t testing.TB, status int, into any) *answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("got status %d, want %d: %s", a.status, status, a.body)
	}
	if into != nil {
		if err := json.Unmarshal(a.body, into); err != nil {
			t.Fatalf("%v in %s", err, a.body)
		}
	}
	return a
}

// problem is an error answer of the API (the schema Error).
type problem struct {
	Type, Title, Detail, Instance, Code, RequestID string
	Status                                         int
	Errors                                         []struct{ Location, Message string }
}

func (a *answer) refused(t testing.TB, status int, code string) *problem {
	t.Helper()
	p := new(problem)
	a.want(t, status, p)
	if p.Code != code || p.Status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %s: %s, want code %s", a.header.Get("Content-Type"), a.body, code)
	}
	return p
}

// call sends a request and returns the answer. It sends the account's API key. If the
// account is nil, it sends no credentials.
func (s *server) call(t testing.TB, as *account, method, path string, body any) *answer {
	t.Helper()
	header := http.Header{}
	if as != nil {
		header.Set("X-Api-Key", as.APIKey)
	}
	return s.callWithHeader(t, header, method, path, body)
}

func (s *server) callWithHeader(t testing.TB, header http.Header, method, path string, body any) *answer {
	t.Helper()
	a, err := s.tryCall(t.Context(), header, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tryCall sends a request with the given headers. If the request fails, the test does
// not fail, and tryCall returns an error.
func (s *server) tryCall(ctx context.Context, header http.Header, method, path string, body any) (*answer, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case io.Reader:
		reader = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	if reader != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return &answer{res.StatusCode, res.Header, b}, err
}

type execution struct {
	ID, Language, Status, Reason, Signal, Stdout, Stderr string
	ExitCode                                             *int
	Redactions                                           int
	StdoutTruncated, StderrTruncated                     bool
	Error                                                *struct {
		Name, Message, Traceback string
		Line                     int
	}
	Results                        []map[string]any
	ResultsTruncated, SessionEnded bool
	Files                          []struct {
		Path, Content, Encoding, MediaType string
		SizeBytes                          int64
	}
	FilesSkipped []struct{ Path, Reason string }
	Usage        struct {
		WallMs, CPUMs, MemoryPeakBytes, QueuedMs int64
		Network                                  []struct {
			Host, Verdict, Reason    string
			Port                     int
			SentBytes, ReceivedBytes int64
		}
	}
}

func (a *account) execute(t testing.TB, request object) *execution {
	t.Helper()
	x := new(execution)
	a.server.call(t, a, "POST", "/api/v1/execute", withTimeout(a.withIsolation(request))).want(t, 200, x)
	return x
}

// withTimeout adds a time-out that is longer than the server's default, because a program
// is slow on a busy machine. If the request already contains a time-out, withTimeout does
// not change the request.
func withTimeout(request object) object {
	return withDefault(request, "timeoutMs", 120_000)
}

// withIsolation adds the account's isolation to the request. If the request already
// contains an isolation, withIsolation does not change the request.
func (a *account) withIsolation(request object) object {
	if a.isolation == "" {
		return request
	}
	return withDefault(request, "isolation", a.isolation)
}

// withDefault returns a copy of the request with this member. If the request already
// contains the member, withDefault returns the request itself.
func withDefault(request object, name string, value any) object {
	if request[name] != nil {
		return request
	}
	request = maps.Clone(request)
	request[name] = value
	return request
}

func (a *account) run(t testing.TB, code string) *execution {
	t.Helper()
	return a.execute(t, object{"code": code})
}

// The method "ends" checks the status of a run. It also checks that a run with this
// status can have this exit code.
func (x *execution) ends(t testing.TB, status string) *execution {
	t.Helper()
	if x.Status != status {
		t.Fatalf("got %s, want %s: %s", x.Status, status, x)
	}
	if (x.ExitCode == nil) != (x.Status != "succeeded" && (x.Status != "failed" || x.Signal != "")) {
		t.Errorf("the exit code does not match the status: %s", x)
	}
	return x
}

func (x *execution) prints(t testing.TB, stdout string) *execution {
	t.Helper()
	x.ends(t, "succeeded")
	if x.Stdout != stdout {
		t.Fatalf("got %q, want %q: %s", x.Stdout, stdout, x)
	}
	return x
}

func (x *execution) String() string {
	code := "none"
	if x.ExitCode != nil {
		code = fmt.Sprint(*x.ExitCode)
	}
	return fmt.Sprintf("status %s, exit code %s, signal %q, stdout %.500q, stderr %.2000q, skipped %.300v, usage %+v",
		x.Status, code, x.Signal, x.Stdout, x.Stderr, x.FilesSkipped, x.Usage)
}

// fileContent returns the content of an output file, or nil if this file does not
// exist.
func (x *execution) fileContent(t testing.TB, path string) []byte {
	t.Helper()
	for _, f := range x.Files {
		if f.Path != path {
			continue
		}
		if f.Encoding == "base64" {
			return must(base64.StdEncoding.DecodeString(f.Content))(t)
		}
		return []byte(f.Content)
	}
	return nil
}

// skipReason returns the reason why the server skipped the file. It returns "" if the
// server did not skip the file.
func (x *execution) skipReason(path string) string {
	for _, f := range x.FilesSkipped {
		if f.Path == path {
			return f.Reason
		}
	}
	return ""
}
