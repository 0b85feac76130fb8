package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/internal/mcp"
)

// versions are the protocol versions of the tests: the newest one, which has no
// handshake, and one with the handshake.
var versions = []string{"2026-07-28", "2025-06-18"}

// keyTransport adds an API key to requests.
type keyTransport struct{ key string }

func (t keyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+t.key)
	return http.DefaultTransport.RoundTrip(r)
}

// connectHTTP connects a client over HTTP.
func connectHTTP(t *testing.T, url, key, version string) *sdk.ClientSession {
	t.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
		&sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: keyTransport{key}}}, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func TestHandlerServesProtocolVersions(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI()
			callers := make(chan string, 10)
			handler := mcp.NewHandler("1.2.3", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				callers <- r.Header.Get("Authorization") + " " + r.Header.Get("X-Request-Id") + " " + r.RemoteAddr
				api.ServeHTTP(w, r)
			}), discarded())
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Request-Id", "req_1")
				handler.ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			session := connectHTTP(t, s.URL, "pyapi_ada", version)
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("protocol version %s, want %s", got, version)
			}
			if r := callTool(t, session, "run_code", map[string]any{"code": "1"}, nil); r.IsError {
				t.Error(textOf(r))
			}
			if caller := <-callers; !strings.HasPrefix(caller, "Bearer pyapi_ada req_1 127.0.0.1:") {
				t.Errorf("the API saw the caller %q", caller)
			}
		})
	}
}

func TestHandlerCancelsRun(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI()
			api.hang = make(chan struct{})
			s := httptest.NewServer(mcp.NewHandler("1.2.3", api, discarded()))
			t.Cleanup(s.Close)
			session := connectHTTP(t, s.URL, "pyapi_ada", version)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := session.CallTool(ctx, &sdk.CallToolParams{Name: "run_code", Arguments: map[string]any{"code": "x"}}); err == nil {
				t.Error("the call succeeded")
			}
			select {
			case <-api.canceled:
			case <-time.After(10 * time.Second):
				t.Error("the run was not canceled")
			}
		})
	}
}

// postVersion sends a message without a session ID, and returns the response. The
// parameter "version" is the protocol version.
func postVersion(t *testing.T, url, version, message string) *http.Response {
	t.Helper()
	return send(t, url, message, map[string]string{"Authorization": "Bearer pyapi_ada", "Mcp-Protocol-Version": version})
}

// post sends a message of the version 2025-06-18 in a session, and returns the response.
func post(t *testing.T, url, key, session, message string) *http.Response {
	t.Helper()
	return send(t, url, message, map[string]string{
		"Authorization": "Bearer " + key, "Mcp-Protocol-Version": "2025-06-18", "Mcp-Session-Id": session,
	})
}

func send(t *testing.T, url, message string, headers map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestHandlerCancelsOnlyCallsOfSameClient(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.hang = make(chan struct{})
	s := httptest.NewServer(mcp.NewHandler("1.2.3", api, discarded()))
	t.Cleanup(s.Close)
	ended := make(chan string, 1)
	go func() {
		res := post(t, s.URL, "pyapi_ada", "one", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"run_code","arguments":{"code":"x"}}}`)
		b, _ := io.ReadAll(res.Body)
		ended <- string(b)
	}()
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`
	time.Sleep(300 * time.Millisecond)
	for _, other := range [][2]string{{"pyapi_bob", "one"}, {"pyapi_ada", "two"}, {"pyapi_ada", ""}} {
		if res := post(t, s.URL, other[0], other[1], cancel); res.StatusCode != http.StatusAccepted {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	select {
	case <-api.canceled:
		t.Fatal("another client canceled the run")
	case <-time.After(300 * time.Millisecond):
	}
	post(t, s.URL, "pyapi_ada", "one", cancel)
	select {
	case <-api.canceled:
	case <-time.After(10 * time.Second):
		t.Fatal("the client could not cancel its run")
	}
	<-ended
}

func TestHandlerRefusesLongBatches(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(mcp.NewHandler("1.2.3", newFakeAPI(), discarded()))
	t.Cleanup(s.Close)
	for size, status := range map[int]int{20: http.StatusOK, 21: http.StatusBadRequest, 3000: http.StatusBadRequest} {
		calls := make([]string, size)
		for i := range calls {
			calls[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, i)
		}
		res := postVersion(t, s.URL, "2025-03-26", "["+strings.Join(calls, ",")+"]")
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != status {
			t.Errorf("%d messages: status %d, %v, %.200s", size, res.StatusCode, err, b)
		}
		if got := strings.Count(string(b), `"run_code"`); status == http.StatusOK && got < size {
			t.Errorf("%d messages: %d answers", size, got)
		}
	}
}

func TestHandlerTransportReportsAbort(t *testing.T) {
	t.Parallel()
	transport := mcp.NewHandlerTransport(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			_, _ = io.WriteString(w, "begin")
		}
		panic(http.ErrAbortHandler)
	}), mcp.Origin{})
	c := &http.Client{Transport: transport}
	if _, err := c.Get("http://api.internal/early"); err == nil {
		t.Error("a response without a header is not an error")
	}
	res, err := c.Get("http://api.internal/late")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); err == nil || string(b) != "begin" {
		t.Errorf("body %q, error %v", b, err)
	}
	_ = res.Body.Close()
	transport.Wait()
}
