package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// The type "listening" is a Server with a listener on a free port.
type listening struct {
	*server
	http *api.Server
	addr string
	done chan error
}

func listen(t *testing.T, cfg api.ServerConfig, change ...func(*api.Config)) *listening {
	t.Helper()
	s := newServer(t, change...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &listening{server: s, http: api.NewServer(s.handler, cfg), addr: l.Addr().String(), done: make(chan error, 1)}
	go func() { out.done <- out.http.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		// Ignore the error of Shutdown, because some tests leave requests running.
		_ = out.http.Shutdown(ctx)
		if err := <-out.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return out
}

func (l *listening) dial() net.Conn {
	l.Helper()
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		l.Fatal(err)
	}
	return c
}

const executeHead = "POST /api/v1/execute HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + goodKey + "\r\nContent-Type: application/json\r\n"

func (l *listening) write(c net.Conn, raw string) {
	l.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		l.Fatal(err)
	}
}

// blocking changes the service e, so that its runs wait. Each run sends a value to the
// channel "started". Then it waits until the channel "release" is closed or the context
// of the run ends. At its end, the run sends nil or the error of the context to the
// channel "ended".
func blocking(e *executions) (started chan struct{}, release chan struct{}, ended chan error) {
	started, release, ended = make(chan struct{}, 8), make(chan struct{}), make(chan error, 8)
	e.run = func(ctx context.Context, _ *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		started <- struct{}{}
		select {
		case <-release:
			ended <- nil
			return succeeded("late"), nil
		case <-ctx.Done():
			ended <- ctx.Err()
			out := succeeded("")
			out.Status, out.ExitCode = pyth.StatusCanceled, nil
			return out, nil
		}
	}
	return started, release, ended
}

func TestServerCancelsRunOfClosedConnection(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	started, _, ended := blocking(l.executions)
	c := l.dial()
	l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	c.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the run ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the run did not stop")
	}
}

func TestServerAllowsRunLongerThanBodyTimeout(t *testing.T) {
	l := listen(t, api.ServerConfig{}, func(c *api.Config) { c.BodyTimeout = 100 * time.Millisecond })
	l.executions.run = func(ctx context.Context, _ *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(400 * time.Millisecond):
			return succeeded("late"), nil
		}
	}
	c := l.dial()
	for range 2 {
		l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
			t.Fatalf("status %d: %s, %v", res.StatusCode, body, err)
		}
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	started, release, _ := blocking(l.executions)
	c := l.dial()
	l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	down := make(chan error, 1)
	go func() { down <- l.http.Shutdown(context.Background()) }()
	// Serve returns as soon as the server accepts no new connections.
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	l.done <- nil
	close(release)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), "late") {
		t.Errorf("status %d: %s, %v", res.StatusCode, body, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCancelsLateRequests(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	started, _, _ := blocking(l.executions)
	c := l.dial()
	l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	down := make(chan error, 1)
	go func() { down <- l.http.Shutdown(ctx) }()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), `"status":"canceled"`) {
		t.Errorf("status %d: %s, %v", res.StatusCode, body, err)
	}
	if err := <-down; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownAnswers503DuringDrainDelay(t *testing.T) {
	l := listen(t, api.ServerConfig{DrainDelay: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan error, 1)
	l.handler.Drain() // Drain before the first request, so that the response does not depend on timing.
	go func() { down <- l.http.Shutdown(ctx) }()
	res, err := http.Get("http://" + l.addr + "/api")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 503 || !res.Close || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %v", res.StatusCode, res.Header)
	}
	cancel()
	<-down //nolint:errcheck // Other tests check the error of Shutdown.
}

func (l *listening) exchange(c net.Conn, raw string) (*http.Response, string) {
	l.Helper()
	l.write(c, raw)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		l.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		l.Fatal(err)
	}
	return res, string(body)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func TestShutdownAnswersOpenConnectionsUntilLastRunEnds(t *testing.T) {
	l := listen(t, api.ServerConfig{})
	started, release, _ := blocking(l.executions)
	runs, user, watcher, silent := l.dial(), l.dial(), l.dial(), l.dial()
	for _, c := range []net.Conn{user, watcher, silent} {
		if res, body := l.exchange(c, get("/readyz")); res.StatusCode != 200 || res.Close {
			t.Fatalf("status %d: %s", res.StatusCode, body)
		}
	}
	l.write(runs, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	down := make(chan error, 1)
	go func() { down <- l.http.Shutdown(context.Background()) }()
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	l.done <- nil

	if c, err := net.Dial("tcp", l.addr); err == nil {
		c.Close()
		t.Error("new connections are accepted")
	}
	res, body := l.exchange(user, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	if res.StatusCode != 503 || !strings.Contains(body, `"code":"draining"`) || res.Header.Get("Retry-After") == "" || !res.Close {
		t.Errorf("a request of a known user: status %d, %v: %s", res.StatusCode, res.Header, body)
	}
	if _, err := user.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the user's connection ends with %v", err)
	}
	for path, status := range map[string]int{"/readyz": 503, "/healthz": 200, "/api/health": 200} {
		if res, body := l.exchange(watcher, get(path)); res.StatusCode != status || res.Close {
			t.Errorf("%s: status %d, %v: %s", path, res.StatusCode, res.Header, body)
		}
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}

	close(release)
	res, err := http.ReadResponse(bufio.NewReader(runs), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("the run: status %d, %v: %s, %v", res.StatusCode, res.Header, body, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for name, c := range map[string]net.Conn{"watcher": watcher, "silent": silent, "run": runs} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection of the %s ends with %v", name, err)
		}
	}
}

func TestServeAfterShutdownClosesListener(t *testing.T) {
	server := api.NewServer(newServer(t).handler, api.ServerConfig{})
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(l); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

func TestShutdownLogsNoListenerError(t *testing.T) {
	handler := newServer(t).handler
	// Shutdown and net/http both close the listener, in a random order. Repeat the test
	// many times, so that both orders occur.
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := api.NewServer(handler, api.ServerConfig{})
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := errors.Join(server.Shutdown(t.Context()), <-served); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShutdownLetsRunsOutliveDrainDelay(t *testing.T) {
	l := listen(t, api.ServerConfig{DrainDelay: 50 * time.Millisecond})
	started, release, _ := blocking(l.executions)
	runs := l.dial()
	l.write(runs, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	down := make(chan error, 1)
	go func() { down <- l.http.Shutdown(context.Background()) }()
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	l.done <- nil
	close(release)
	if res, err := http.ReadResponse(bufio.NewReader(runs), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
