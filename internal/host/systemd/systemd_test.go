package systemd_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/host/systemd"
)

// listen returns a function that waits for the next message to the service manager. The
// tested code sends these messages.
func listen(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		b := make([]byte, 1000)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestManagerReportsStates(t *testing.T) {
	next := listen(t)
	m := systemd.NewManager(slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		report func()
		want   string
	}{
		{func() { m.Ready("serving http://127.0.0.1:1") }, `^READY=1\nSTATUS=serving http://127\.0\.0\.1:1$`},
		{func() { m.Stopping("waiting") }, `^STOPPING=1\nSTATUS=waiting$`},
	} {
		c.report()
		if got := next(); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("got %q, want %s", got, c.want)
		}
	}
}

func TestWatchRepeatsUntilContextEnds(t *testing.T) {
	next := listen(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	// A service manager sets this variable to the ID of the process that it started. The
	// ID 1 is not the ID of this process.
	t.Setenv("WATCHDOG_PID", "1")
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		systemd.NewManager(slog.New(slog.DiscardHandler)).Watch(ctx)
		close(watched)
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	stop()
	<-watched
}

func TestWatchReturnsWithoutWatchdog(t *testing.T) {
	listen(t)
	for _, usec := range []string{"", "0", "-1", "soon"} {
		t.Setenv("WATCHDOG_USEC", usec)
		systemd.NewManager(slog.New(slog.DiscardHandler)).Watch(t.Context())
	}
}

func TestManagerWithoutServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	var log bytes.Buffer
	m := systemd.NewManager(slog.New(slog.NewTextHandler(&log, nil)))
	m.Ready("")
	m.Stopping("")
	if log.Len() != 0 {
		t.Errorf("logged %s", &log)
	}
}

func TestManagerLogsErrors(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nothing"))
	var log bytes.Buffer
	systemd.NewManager(slog.New(slog.NewTextHandler(&log, nil))).Ready("")
	if !strings.Contains(log.String(), "service manager not notified") {
		t.Errorf("logged %q", &log)
	}
}
