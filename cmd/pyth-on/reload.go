package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/settings"
)

// reloader changes the settings of a running server or worker. It also returns the
// current settings as JSON over HTTP.
type reloader struct {
	// The field "first" contains the settings at the start of the process. Settings
	// that cannot be reloaded keep these values.
	first     *parsed
	last      *parsed
	effective atomic.Pointer[[]settings.Setting]
	requests  chan struct{}
	logger    *slog.Logger
}

// prepareReload reads and checks new settings. The result "apply" is a function that
// changes the settings. If prepareReload returns an error, no setting has changed.
type prepareReload func(next *commands) (apply func(), err error)

var _ http.Handler = (*reloader)(nil)

func newReloader(p *parsed, logger *slog.Logger) *reloader {
	r := &reloader{first: p, last: p, requests: make(chan struct{}, 1), logger: logger}
	list := p.settings()
	r.effective.Store(&list)
	return r
}

// request asks the method "run" to reload the settings, and returns immediately. The
// method "run" runs in another goroutine.
func (r *reloader) request() {
	select {
	case r.requests <- struct{}{}:
	default: // A reload is already requested.
	}
}

// run reloads the settings after each request, until ctx ends.
func (r *reloader) run(ctx context.Context, prepare prepareReload) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.requests:
			r.reload(prepare)
		}
	}
}

// reload reads all settings again. If one setting is invalid, it changes no setting.
func (r *reloader) reload(prepare prepareReload) {
	next, err := parse(r.first.args)
	var apply func()
	if err == nil {
		apply, err = prepare(next.root)
	}
	if err != nil {
		r.logger.Error("settings not reloaded", "error", err, "hint", "the "+r.process()+" continues to use the previous settings")
		return
	}
	changed, postponed := r.compare(next)
	apply()
	r.last = next
	r.logger.Info("settings reloaded", "changed", changed)
	if len(postponed) > 0 {
		r.logger.Warn("some changed settings need a restart", "settings", postponed, "hint", "restart the "+r.process()+" to change them")
	}
}

// process returns the name of this kind of process for messages: "worker" or "server".
func (r *reloader) process() string {
	if r.first.context.Selected().Name == "worker" {
		return "worker"
	}
	return "server"
}

// compare returns the names of the settings in "next" that have changed: settings that
// take effect now, and settings that need a restart. It also stores the settings that
// are now in effect.
func (r *reloader) compare(next *parsed) (changed, postponed []string) {
	list := next.settings()
	old := *r.effective.Load()
	for i, flag := range settingsOf(next.context.Selected()) {
		reloads := flag.Tag.Has(reloadTag)
		before := r.first
		if reloads {
			before = r.last
		}
		if same(flag, settingsOf(before.context.Selected())[i]) {
			continue
		}
		if reloads {
			changed = append(changed, flag.Name)
			continue
		}
		postponed = append(postponed, flag.Name)
		list[i] = old[i]
		list[i].RestartNeeded = true
	}
	r.effective.Store(&list)
	return changed, postponed
}

// list returns the settings that are now in effect, for the API.
func (r *reloader) list() []pyth.Setting {
	effective := *r.effective.Load()
	list := make([]pyth.Setting, len(effective))
	for i, s := range effective {
		list[i] = pyth.Setting{
			Name: s.Name, Value: s.Value, Origin: string(s.Origin), Source: s.Source, Reload: s.Reload, RestartNeeded: s.RestartNeeded,
		}
	}
	return list
}

// ServeHTTP answers with the settings that are now in effect.
func (r *reloader) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// Ignore the error, because the client may have disconnected.
	_ = json.NewEncoder(w).Encode(*r.effective.Load())
}
