package disk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// syncBuffer is a buffer for log lines. Several goroutines can use it at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The function "until" calls the function "ok" repeatedly until "ok" returns true. It has
// to wait, because the monitor works in another goroutine.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestMonitorNoticesFailureAndRecovery(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), new(syncBuffer)
	m := disk.NewMonitor(dir, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		m.Watch(ctx)
	}()
	defer func() {
		cancel()
		<-watched
	}()
	probe := filepath.Join(dir, disk.ProbeName)
	for range 3 {
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		// A directory with the name of the probe file makes each trial write fail.
		until(t, "a directory is at the path of the probe file", func() bool { return os.Mkdir(probe, 0o700) == nil })
		m.Failed()
		until(t, "the check reports the fault", func() bool { return m.Check() != nil })
		full, ok := errors.AsType[*disk.FullError](m.Check())
		if !ok || full.Err == nil || full.Space.TotalBytes == 0 {
			t.Errorf("%+v", full)
		}
		if err := os.Remove(probe); err != nil {
			t.Fatal(err)
		}
		until(t, "the check succeeds again", func() bool { return m.Check() == nil })
	}
	until(t, "the log reports each change once", func() bool {
		said := log.String()
		return strings.Count(said, "level=ERROR") == 3 && strings.Count(said, "disk writable again") == 3
	})
}

func TestMonitorNoticesFailureOfDatabase(t *testing.T) {
	t.Parallel()
	log := new(syncBuffer)
	m := disk.NewMonitor(t.TempDir(), slog.New(slog.NewTextHandler(log, nil)))
	var fails atomic.Bool
	broken := errors.New("read-only")
	m.CheckDatabase(func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the write has no time-out")
		}
		if fails.Load() {
			return broken
		}
		return nil
	})
	go m.Watch(t.Context())
	for range 2 {
		until(t, "writes work", func() bool { return m.Check() == nil })
		fails.Store(true)
		m.Failed()
		until(t, "the check reports the fault", func() bool { return m.Check() != nil })
		if fault, ok := errors.AsType[*disk.DatabaseError](m.Check()); !ok || !errors.Is(fault, broken) {
			t.Errorf("got %v", fault)
		}
		fails.Store(false)
	}
	until(t, "writes work again", func() bool { return m.Check() == nil })
	if said := log.String(); strings.Count(said, "database not writable: programs are refused") != 2 || strings.Count(said, "database writable again") != 2 {
		t.Error(said)
	}
}

func TestMonitorReportsMissingDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	m := disk.NewMonitor(dir, slog.New(slog.DiscardHandler))
	if err := m.Check(); err == nil {
		t.Error("the monitor reports that writes work")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, "the check succeeds again", func() bool { return m.Check() == nil })
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func BenchmarkCheck(b *testing.B) {
	m := disk.NewMonitor(b.TempDir(), slog.New(slog.DiscardHandler))
	for b.Loop() {
		if err := m.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
