package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// TestAttack runs the attacks that can be tested without other packages. The name of a
// subtest begins with the number of the attack.
func TestAttack(t *testing.T) {
	t.Run("061_paths_out_of_the_directory", attackFilePaths)
	t.Run("092_bombs_and_slow_requests_are_bounded", func(t *testing.T) {
		t.Run("JSON 10,000 deep", attackDeepJSON)
		t.Run("huge numbers", attackHugeNumbers)
		t.Run("millions of values", attackManyValues)
		t.Run("a body of 1 GB", attackHugeBody)
		t.Run("a gzip bomb", attackGzipBomb)
		t.Run("a header of 1 MB", attackHugeHeader)
		t.Run("slow header", attackSlowHeader)
		t.Run("slow body", attackSlowBody)
		t.Run("slow body that is not read", attackSlowUnreadBody)
		t.Run("slow reader", attackSlowReader)
	})
	t.Run("093_sloppy_JSON_is_refused", attackSloppyJSON)
	t.Run("097_credentials_are_never_repeated", func(t *testing.T) {
		t.Run("in a query", attackCredentialInQuery)
		t.Run("path", attackCredentialInPath)
		t.Run("in errors and logs", attackSecretsEchoed)
	})
	t.Run("100_headers_and_logs_cannot_be_injected", func(t *testing.T) {
		t.Run("by a path", attackLogInjection)
		t.Run("by a header", attackHeaderInjection)
	})
}

func attackDeepJSON(t *testing.T) {
	s := newServer(t)
	for _, body := range []string{
		strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		`{"code":"x","env":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_001),
		strings.Repeat("[", 1_000_000),
		strings.Repeat(`{"code":[`, 100_000),
	} {
		if res := s.execute(body); res.StatusCode != 400 || res.problem(t).Code != "invalid_request" {
			t.Errorf("%.20s: status %d: %s", body, res.StatusCode, res.body)
		}
	}
}

func attackHugeNumbers(t *testing.T) {
	s := newServer(t)
	for _, n := range []string{
		"1e400", "-1e400", "1e-400", "9223372036854775808", "1e18", "1E2", "100.0", "0x10", "01", "+1", "NaN", "Infinity",
		strings.Repeat("9", 1_000_000), "1e" + strings.Repeat("9", 1_000_000),
	} {
		for _, field := range []string{`"timeoutMs":` + n, `"limits":{"memoryBytes":` + n + `}`} {
			res := s.execute(`{"code":"x",` + field + `}`)
			if res.StatusCode != 400 || len(res.body) > 1000 {
				t.Errorf("%.30s: status %d: %.300s", field, res.StatusCode, res.body)
			}
		}
	}
}

func attackManyValues(t *testing.T) {
	s := newServer(t)
	for _, body := range []string{
		`{"code":"x","args":[` + strings.Repeat(`"",`, 5_000_000) + `""]}`,
		`{"code":"x","files":[` + strings.Repeat(`{},`, 5_000_000) + `{}]}`,
		`{"code":"x"` + strings.Repeat(`,"a":1`, 3_000_000) + `}`,
	} {
		before := allocated()
		res := s.execute(body)
		if res.StatusCode != 400 {
			t.Errorf("%.30s: status %d: %.300s", body, res.StatusCode, res.body)
		}
		// The server repeatedly doubles the size of the buffer for the body. Together,
		// all these buffers have up to three times the size of the body. The test allows
		// 8 MiB for all other allocations.
		if took := allocated() - before; took > 3*uint64(len(body))+(8<<20) {
			t.Errorf("%.30s: %d MB allocated for a body of %d MB", body, took>>20, len(body)>>20)
		}
	}
	wide := `{"code":"x"`
	for i := range 9_000 {
		wide += `,"k` + string(rune('a'+i%26)) + strings.Repeat("x", i%50) + string(rune(0x4e00+i)) + `":1`
	}
	if res := s.execute(wide + "}"); res.StatusCode != 400 || len(res.problem(t).Errors) > 50 {
		t.Errorf("9,000 unknown fields: status %d, %d bytes", res.StatusCode, len(res.body))
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// spaces is an endless body. The field "read" counts the bytes that were read.
type spaces struct{ read atomic.Int64 }

func (s *spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	s.read.Add(int64(len(p)))
	return len(p), nil
}

func attackHugeBody(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	for _, path := range []string{"/api/v1/execute", "/api/login"} {
		for _, length := range []int64{1 << 30, -1} {
			before := allocated()
			body := &spaces{}
			req, err := http.NewRequest("POST", "http://"+l.addr+path, io.LimitReader(body, 1<<30))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-Api-Key", goodKey)
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			if err == nil {
				res.Body.Close()
				if res.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("%s: status %d", path, res.StatusCode)
				}
			}
			// Ignore the error. If the server closes the connection early, the client may
			// still be writing. The client then gets a connection reset instead of a
			// response.
			if body.read.Load() > 200<<20 {
				t.Errorf("%s: the server read %d MB", path, body.read.Load()>>20)
			}
			if took := allocated() - before; took > 300<<20 {
				t.Errorf("%s: %d MB were allocated", path, took>>20)
			}
		}
	}
}

func attackGzipBomb(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	if _, err := io.Copy(z, io.LimitReader(&spaces{}, 1<<16)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	// Repeat one small gzip member, because the compression of all data would take too
	// long.
	bomb := strings.Repeat(member.String(), 1600)
	s := newServer(t)
	for _, encoding := range []string{"gzip", "GZIP", "deflate", "identity, gzip"} {
		r := request("POST", "/api/v1/execute", bomb)
		r.Header.Set("Content-Encoding", encoding)
		if res := s.send(r); res.StatusCode != 415 {
			t.Errorf("%s: status %d: %s", encoding, res.StatusCode, res.body)
		}
	}
	if res := s.execute(bomb); res.StatusCode != 400 {
		t.Errorf("without Content-Encoding: status %d: %s", res.StatusCode, res.body)
	}
}

func attackHugeHeader(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	c := l.dial()
	// Ignore the error, because the server may close the connection during the write.
	_, _ = io.WriteString(c, "GET /api HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")
	status, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.Contains(status, "431") {
		t.Errorf("the answer is %q", status)
	}
	if err != nil && !closed(err) {
		t.Errorf("the connection ended with %v", err)
	}
}

// The function "closed" reports whether err shows that the server has closed the
// connection. It returns false for a time-out.
func closed(err error) bool {
	var timeout net.Error
	return err != nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}

func attackSlowHeader(t *testing.T) {
	l := listen(t, api.ServerConfig{ReadHeaderTimeout: 200 * time.Millisecond})
	c := l.dial()
	l.write(c, "GET /api HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	start := time.Now()
	if _, err := io.ReadAll(c); !closed(err) && err != nil {
		t.Errorf("the connection stays open: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the connection was closed only after %v", took)
	}
}

func attackSlowBody(t *testing.T) {
	l := listen(t, api.ServerConfig{}, func(c *api.Config) { c.BodyTimeout = 200 * time.Millisecond })
	for _, framing := range []string{"Content-Length: 12\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"} {
		c := l.dial()
		l.write(c, executeHead+framing)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 400 || !strings.Contains(string(body), "was not received in time") {
			t.Errorf("status %d: %s, %v", res.StatusCode, body, err)
		}
		if _, err := c.Read(make([]byte, 1)); !closed(err) {
			t.Errorf("the connection stays open: %v", err)
		}
	}
}

func attackSlowUnreadBody(t *testing.T) {
	l := listen(t, api.ServerConfig{}, func(c *api.Config) { c.BodyTimeout = 200 * time.Millisecond })
	for _, head := range []string{"POST /nothing", "GET /api", "POST /api/v1/execute"} {
		c := l.dial()
		l.write(c, head+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
		if _, err := io.ReadAll(c); !closed(err) && err != nil {
			t.Errorf("%s: the connection stays open: %v", head, err)
		}
	}
}

func attackSlowReader(t *testing.T) {
	l := listen(t, api.ServerConfig{}, func(c *api.Config) { c.ResponseTimeout = 200 * time.Millisecond })
	l.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		// The response is larger than the kernel's socket buffers, so the server blocks
		// while it writes the response.
		return succeeded(strings.Repeat("a", 32<<20)), nil
	}
	c := l.dial()
	l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	// The client reads only the first line of the response. Shutdown waits for all
	// requests. So Shutdown returns only if the server stops writing this response.
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.http.Shutdown(ctx); err != nil {
		t.Errorf("the server is still writing the answer: %v", err)
	}
}

func attackSloppyJSON(t *testing.T) {
	tests := []struct{ name, body, location string }{
		{"duplicate key", `{"code":"x","code":"y"}`, "body.code"},
		{"duplicate key, escaped", `{"code":"x","\u0063ode":"y"}`, "body.code"},
		{"duplicate key in a file", `{"code":"x","files":[{"path":"a","content":"","path":"b"}]}`, "body.files[0].path"},
		{"duplicate variable", `{"code":"x","env":{"A":"1","A":"2"}}`, "body.env.A"},
		{"key in other case", `{"code":"x","Stdin":"y"}`, "body.Stdin"},
		{"required key in other case", `{"Code":"x"}`, "body.Code"},
		{"the same key in two cases", `{"code":"x","CODE":"y"}`, "body.CODE"},
		{"unknown field", `{"code":"x","root":true}`, "body.root"},
		{"unknown field in a file", `{"code":"x","files":[{"path":"a","content":"","mode":"0777"}]}`, "body.files[0].mode"},
		{"trailing value", `{"code":"x"}{"code":"y"}`, "body"},
		{"trailing rubbish", `{"code":"x"} x`, "body"},
		{"trailing NUL", "{\"code\":\"x\"}\x00", "body"},
		{"trailing comma", `{"code":"x",}`, "body"},
		{"a comment", `{"code":"x"/**/}`, "body"},
		{"single quotes", `{'code':'x'}`, "body"},
		{"no end", `{"code":"x"`, "body"},
		{"a byte order mark", "\ufeff" + `{"code":"x"}`, "body"},
		{"invalid UTF-8", "{\"code\":\"\xff\"}", "body.code"},
		{"half a surrogate", `{"code":"\ud800"}`, "body.code"},
		{"unescaped line break", "{\"code\":\"a\nb\"}", "body.code"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "body"},
		{"nothing", ``, "body"},
		{"space", ` `, "body"},
	}
	s := newServer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request("POST", "/api/v1/execute", tt.body)
			r.Header.Set("Content-Type", "application/json")
			res := s.send(r)
			p := res.problem(t)
			if res.StatusCode != 400 || p.Code != "invalid_request" {
				t.Fatalf("status %d: %s", res.StatusCode, res.body)
			}
			if !slices.Contains(p.locations(), tt.location) {
				t.Errorf("%s is not among the locations: %s", tt.location, res.body)
			}
		})
	}
	if s.executions.program != nil {
		t.Error("the program ran")
	}
}

// canaries are secret values. The server must never write them to a response or to the
// log.
const (
	canaryKey      = "pyapi_CanaryCanaryCanaryCanaryCanary"
	canaryToken    = "eyJhbGciOiJIUzI1NiJ9.CANARYTOKEN.sig"
	canaryPassword = "CANARY-password"
	canaryCode     = "CANARY-code"
)

func attackCredentialInQuery(t *testing.T) {
	s := newServer(t)
	for _, query := range []string{
		"api_key=" + canaryKey, "apikey=" + canaryKey, "APIKEY=" + canaryKey, "token=" + canaryToken, "access_token=" + canaryToken,
		"x-api-key=" + canaryKey, "key=" + canaryKey, "q=" + canaryKey, canaryKey, "a=b&c=d;x=" + canaryKey,
		"q=%70yapi_Canary", "password=" + canaryPassword, "tok%65n=" + canaryToken, "limit=%zz&q=" + canaryKey,
	} {
		for _, path := range []string{"/api/v1/keys", "/api", "/nothing", "/healthz"} {
			res := s.send(request("GET", path+"?"+query, ""))
			if p := res.problem(t); res.StatusCode != 400 || !strings.Contains(p.Detail, "header x-api-key or Authorization") {
				t.Errorf("%s?%s: status %d: %s", path, query, res.StatusCode, res.body)
			}
			if strings.Contains(strings.ToLower(res.body), "canary") {
				t.Errorf("the answer repeats the value: %s", res.body)
			}
		}
	}
	if log := s.log.String(); strings.Contains(strings.ToLower(log), "canary") {
		t.Errorf("the log contains the value: %s", log)
	}
}

func attackCredentialInPath(t *testing.T) {
	s := newServer(t)
	for _, r := range []*http.Request{
		request("GET", "/"+canaryKey, ""), request("GET", "/x/"+canaryToken+"/y", ""), request("DELETE", "/api/v1/keys/"+canaryKey, ""),
		request("PATCH", "/api/v1/keys/"+canaryKey, ""), request("GET", "/%70yapi_CANARY", ""),
	} {
		s.accounts.err = pyth.Errorf(pyth.CodeNotFound, "There is no such key.")
		if res := s.send(r); res.StatusCode < 400 || strings.Contains(strings.ToLower(res.body), "canary") {
			t.Errorf("status %d: %s", res.StatusCode, res.body)
		}
	}
	if log := s.log.String(); strings.Contains(strings.ToLower(log), "canary") {
		t.Errorf("the log contains the value: %s", log)
	}
}

func attackSecretsEchoed(t *testing.T) {
	s := newServer(t)
	headers := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	for _, r := range []*http.Request{
		headers(anonymous("GET", "/api/v1/keys", ""), "X-Api-Key", canaryKey),
		headers(anonymous("GET", "/api/v1/keys", ""), "Authorization", "Bearer "+canaryToken),
		headers(anonymous("GET", "/api/v1/keys", ""), "Authorization", canaryToken),
		headers(anonymous("GET", "/nothing", ""), "X-Request-Id", canaryKey+" "),
		anonymous("POST", "/api/login", `{"email":"a@b","password":"`+canaryPassword+`"}`),
		anonymous("POST", "/api/login", `{"email":["`+canaryPassword+`"],"password":{"a":"`+canaryPassword+`"}}`),
		anonymous("POST", "/api/login", `{"email":"a@b","password":"`+strings.Repeat(canaryPassword, 100)+`"}`),
		anonymous("POST", "/api/login", `{"email":"a@b","password":"`+canaryPassword+"\xff"+`"}`),
		anonymous("POST", "/api/login", `{"email":"a@b","password":"`+canaryPassword),
		anonymous("POST", "/api/login", canaryPassword),
		anonymous("POST", "/api/refresh", `{"refreshToken":["`+canaryToken+`"]}`),
		anonymous("POST", "/api/verify", `{"token":"`+canaryToken+`"}`),
		request("POST", "/api/v1/execute", `{"code":["`+canaryCode+`"]}`),
		request("POST", "/api/v1/execute", `{"code":"`+canaryCode+`","stdin":{"a":"`+canaryCode+`"},"env":{"A":["`+canaryCode+`"]}}`),
		request("POST", "/api/v1/execute", `{"code":"`+canaryCode+`","language":"`+canaryCode+`"}`),
		request("POST", "/api/v1/execute", `{"code":"`+canaryCode+`","timeoutMs":"`+canaryCode+`"}`),
		request("POST", "/api/v1/execute", `{"code":"`+canaryCode+`","files":[{"path":"a","encoding":"base64","content":"`+canaryCode+`"}]}`),
		request("POST", "/api/v1/execute", `{"code":"`+canaryCode+`"`),
	} {
		if res := s.send(r); res.StatusCode < 400 || strings.Contains(strings.ToLower(res.body), "canary") {
			t.Errorf("%s: status %d: %s", r.URL.Path, res.StatusCode, res.body)
		}
	}
	if log := s.log.String(); strings.Contains(strings.ToLower(log), "canary") {
		t.Errorf("the log contains the value: %s", log)
	}
}

func attackLogInjection(t *testing.T) {
	s := newServer(t)
	r := request("GET", "/", "")
	r.URL = &url.URL{Path: "/a\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\r\nX-Forged: 1\x00\x1b[31m"}
	res := s.send(r)
	if res.StatusCode != 404 || strings.Contains(res.body, "forged") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	for line := range strings.Lines(s.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["msg"] == "forged" {
			t.Errorf("a line of the log is %q", line)
		}
	}
	if strings.Contains(s.log.String(), "\x1b") {
		t.Error("the log contains an escape sequence")
	}
}

func attackHeaderInjection(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	for _, head := range []string{
		"GET /api HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rX-Forged: 1\r\n\r\n",
		"GET /api HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\x00b\r\n\r\n",
		"GET /api%0d%0aX-Forged:%201 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api/v1/keys/a%0d%0aX-Forged:%201 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api HTTP/1.1\r\nHost: x\r\nX-Api-Key: a%0d%0aX-Forged: 1\r\n\r\n",
	} {
		c := l.dial()
		l.write(c, strings.Replace(head, "Host: x", "Host: x\r\nConnection: close", 1))
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(string(answer), "\r\n\r\n")
		if strings.Contains(header, "Forged") {
			t.Errorf("%q: %s", head, header)
		}
	}
}
