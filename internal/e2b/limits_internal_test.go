package e2b

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/process"
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

func TestSandboxRemembersFewSmallProcesses(t *testing.T) {
	t.Parallel()
	x := &sandbox{}
	small := &process.ProcessConfig{Cmd: "true"}
	unknown := &process.ProcessConfig{Cmd: "true"}
	unknown.ProtoReflect().SetUnknown(append([]byte{0x9a, 0x06, 0x80, 0x40}, make([]byte, 8<<10)...))
	for name, large := range map[string]*process.ProcessConfig{
		"argument":      {Cmd: "true", Args: []string{strings.Repeat("a", 9<<10)}},
		"variable":      {Cmd: "true", Envs: map[string]string{"A": strings.Repeat("a", 9<<10)}},
		"unknown field": unknown,
	} {
		x.remember(1, &started{config: small})
		if got := x.remembered(1); got == nil || got.config != small {
			t.Errorf("%s: the small configuration is missing: %v", name, got)
		}
		x.remember(1, &started{config: large})
		if got := x.remembered(1); got != nil {
			t.Errorf("%s: a configuration of the process is kept", name)
		}
	}
	for id := range pyth.ProcessID(5000) {
		x.remember(id, &started{config: small})
		if len(x.processes) > 256 {
			t.Fatalf("the sandbox remembers %d processes", len(x.processes))
		}
	}
}

func TestSignedRequestIsPlausible(t *testing.T) {
	t.Parallel()
	signature := "v1_" + strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		request signed
		want    bool
	}{
		"usual":            {signed{path: "a", user: "user", signature: signature, expiration: "1700000000"}, true},
		"longest":          {signed{path: strings.Repeat("a", maxPath), user: strings.Repeat("a", maxUser), signature: signature, expiration: strings.Repeat("1", 20)}, true},
		"long path":        {signed{path: strings.Repeat("a", maxPath+1), signature: signature}, false},
		"long user":        {signed{user: strings.Repeat("a", maxUser+1), signature: signature}, false},
		"long expiration":  {signed{signature: signature, expiration: strings.Repeat("1", 21)}, false},
		"no prefix":        {signed{signature: strings.Repeat("A", 46)}, false},
		"short signature":  {signed{signature: "v1_"}, false},
		"longer signature": {signed{signature: signature + "A"}, false},
	} {
		if got := c.request.plausible(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
