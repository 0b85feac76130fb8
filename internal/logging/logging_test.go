package logging_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/logging"
)

func newLogger(to *bytes.Buffer) *slog.Logger {
	return slog.New(logging.NewHandler(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: logging.ReplaceAttr})))
}

func TestHandlerAddsRequestID(t *testing.T) {
	var out bytes.Buffer
	ctx := pyth.WithOrigin(t.Context(), &pyth.Origin{RequestID: "req-1"})
	log := newLogger(&out)
	log.InfoContext(ctx, "one")
	log.With("key", "value").InfoContext(ctx, "two")
	log.InfoContext(context.Background(), "three")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []bool{true, true, false} {
		if got := strings.Contains(lines[i], "request_id=req-1"); got != want {
			t.Errorf("%s: request ID is %v, want %v", lines[i], got, want)
		}
	}
}

func TestDurationsAreInMilliseconds(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out)
	log.Info("ours", logging.Milliseconds("duration", 1500*time.Microsecond))
	log.Info("of a library", "timeout", 2*time.Second, "wait_ms", 3*time.Millisecond)
	for _, want := range []string{"duration_ms=1.5\n", "timeout_ms=2000 wait_ms=3\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %s", want, out.String())
		}
	}
}
