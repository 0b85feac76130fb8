package http_test

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
	pyhttp "github.com/pyth-on/pyth-on/http"
)

// listening is a Server on a port of its own.
type listening struct {
	*server
	http *pyhttp.Server
	addr string
	done chan error
}

func listen(t *testing.T, cfg pyhttp.ServerConfig, change ...func(*pyhttp.Config)) *listening {
	t.Helper()
	s := newServer(t, change...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &listening{server: s, http: pyhttp.NewServer(s.handler, cfg), addr: l.Addr().String(), done: make(chan error, 1)}
	go func() { out.done <- out.http.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		// What a test has left running need not finish.
		_ = out.http.Shutdown(ctx)
		if err := <-out.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return out
}

// dial opens a connection that gives up after a while.
func (l *listening) dial() net.Conn {
	l.Helper()
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		l.Fatal(err)
	}
	return c
}

const executeHead = "POST /api/v1/execute HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + goodKey + "\r\nContent-Type: application/json\r\n"

// write sends raw bytes.
func (l *listening) write(c net.Conn, raw string) {
	l.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		l.Fatal(err)
	}
}

// blocking makes runs report that they have started and then wait for their
// end or for release.
func blocking(e *executions) (started chan struct{}, release chan struct{}, ended chan error) {
	started, release, ended = make(chan struct{}, 8), make(chan struct{}), make(chan error, 8)
	e.run = func(ctx context.Context, _ *pyth.Program) (*pyth.Execution, error) {
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

func TestClosingTheConnectionCancelsTheRun(t *testing.T) {
	l := listen(t, pyhttp.ServerConfig{})
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
	case <-time.After(10 * time.Second):
		t.Fatal("the run goes on")
	}
}

func TestARunMayTakeLongerThanItsBodyMay(t *testing.T) {
	l := listen(t, pyhttp.ServerConfig{}, func(c *pyhttp.Config) { c.BodyTimeout = 100 * time.Millisecond })
	l.executions.run = func(ctx context.Context, _ *pyth.Program) (*pyth.Execution, error) {
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

func TestShutdownLetsWhatRunsFinish(t *testing.T) {
	l := listen(t, pyhttp.ServerConfig{})
	started, release, _ := blocking(l.executions)
	c := l.dial()
	l.write(c, executeHead+"Content-Length: 12\r\n\r\n"+`{"code":"x"}`)
	<-started
	down := make(chan error, 1)
	go func() { down <- l.http.Shutdown(context.Background()) }()
	// Serve returns once no connection is accepted any more.
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

func TestShutdownCancelsWhatDoesNotFinishInTime(t *testing.T) {
	l := listen(t, pyhttp.ServerConfig{})
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

func TestDuringTheDrainDelayNewConnectionsAreAnswered503(t *testing.T) {
	l := listen(t, pyhttp.ServerConfig{DrainDelay: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan error, 1)
	l.handler.Drain()
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
	<-down //nolint:errcheck // How it ended is the concern of other tests.
}
