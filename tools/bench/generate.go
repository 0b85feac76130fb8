package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

// measureGenerate measures how much time the server adds to a request to a model. It
// uses a fake model that answers immediately.
func (b *bench) measureGenerate(ctx context.Context) (err error) {
	model, err := claudetest.Start(claudetest.Program("Prints 42.", program))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	key := filepath.Join(filepath.Dir(b.warmData), "key")
	if err := os.WriteFile(key, []byte(claudetest.Key), 0o600); err != nil {
		return err
	}
	flags := []string{"--warm-node=0", "--anthropic-base-url=" + model.URL, "--anthropic-key-file=" + key, "--generate-tokens-per-day=1000000000"}
	return b.serve(ctx, b.warmData, flags, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("Generation", n), subject{b.results.generated, withRest(repeatWithPause(8, restTime/2, tenant.generateAnswer))})
	})
}

// generateAnswer requests the usual program, print(42), from the model, but does not
// run it. A run would take much longer than the measured part.
func (a *account) generateAnswer(ctx context.Context) (time.Duration, error) {
	var g struct{ Code string }
	took, err := a.call(ctx, http.MethodPost, "/api/v1/generate", map[string]any{"prompt": "print 42", "execute": false}, http.StatusOK, &g)
	if err == nil && g.Code != program {
		err = fmt.Errorf("unexpected program %q", g.Code)
	}
	return took, err
}
