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

// withModel measures the time that a server adds to a model. The model here
// answers at once.
func (b *bench) withModel(ctx context.Context) (err error) {
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
		return alternate(ctx, n, b.progress.rounds("Generation", n), subject{b.results.generated, resting(pausing(8, rest/2, tenant.generates))})
	})
}

// generates asks the model for the program that all other measurements use. It
// does not run the program: a run would hide the measured time, and is timed
// elsewhere.
func (a *account) generates(ctx context.Context) (time.Duration, error) {
	var g struct{ Code string }
	took, err := a.call(ctx, http.MethodPost, "/api/v1/generate", map[string]any{"prompt": "print 42", "execute": false}, http.StatusOK, &g)
	if err == nil && g.Code != program {
		err = fmt.Errorf("unexpected program %q", g.Code)
	}
	return took, err
}
