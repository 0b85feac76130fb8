package e2b

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

// TestWatcherLimitsBytes checks that large events of a hostile sandbox do not fill the
// memory of the server, and that the client can fetch the events below the limit.
func TestWatcherLimitsBytes(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	x := &sandbox{watchers: watchers{polled: map[string]*watcher{"w": w}}}
	ctx := context.WithValue(t.Context(), sandboxKey{}, &access{sandbox: x})
	service := &filesystemService{New(Config{})}
	for name, c := range map[string]struct {
		size         int
		least, limit int
	}{
		"large": {64 << 10, 30, 32},
		"small": {1, maxWatcherEvents, maxWatcherEvents},
	} {
		var err error
		count := 0
		for ; err == nil && count <= maxWatcherEvents; count++ {
			err = w.add(&filesystem.FilesystemEvent{Name: strings.Repeat("a", c.size)})
		}
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s: %d events, error %v", name, count, err)
		}
		out, err := service.GetWatcherEvents(ctx, &filesystem.GetWatcherEventsRequest{WatcherId: "w"})
		if n := len(out.GetEvents()); err != nil || n < c.least || n > c.limit {
			t.Errorf("%s: %d events, error %v", name, n, err)
		}
	}
}
