package main

import (
	"context"
	"time"
)

// measureWithoutPool measures a server without warm sandboxes. Then only the program
// uses the processors.
func (b *bench) measureWithoutPool(ctx context.Context) error {
	return b.serve(ctx, b.coldData, coldFlags(), func(s *server) error {
		before, err := b.idle(ctx, s)
		if err != nil {
			return err
		}
		b.results.idle.add([]float64{before.resident})
		b.results.idleOwn.add([]float64{before.private})
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		b.coldKey = tenant.key
		n := b.plan.pairs
		if err := alternate(ctx, n, b.progress.rounds("CPU-bound Python", n),
			b.results.outside.measured(func(ctx context.Context) (string, error) {
				return b.embedded.output(ctx, kernels)
			}),
			b.results.inside.measured(func(ctx context.Context) (string, error) {
				out, _, err := tenant.execute(ctx, kernels)
				return out, err
			}),
		); err != nil {
			return err
		}
		after, err := b.idle(ctx, s)
		b.results.idleAfter.add([]float64{after.resident})
		return err
	})
}

// idle reads the memory of an idle server.
func (b *bench) idle(ctx context.Context, s *server) (memory, error) {
	b.progress.step("Memory of an idle server")
	if err := sleep(ctx, b.plan.idleTime); err != nil {
		return memory{}, err
	}
	return memoryOf(processesOf(s.pid()).server)
}

// coldStarts starts servers and measures the time to their first run.
func (b *bench) coldStarts(ctx context.Context) error {
	n := b.plan.coldStarts
	return alternate(ctx, n, b.progress.rounds("Cold starts", n),
		subject{b.results.cold, repeatN(1, b.coldRun)},
		subject{b.results.coldRunsc, repeatN(1, b.runscDirectory.untilAnswered)},
	)
}

// coldRun measures the first request to a new server.
func (b *bench) coldRun(ctx context.Context) (took time.Duration, err error) {
	err = b.serve(ctx, b.coldData, coldFlags(), func(s *server) error {
		took, err = (&account{api: s.api, key: b.coldKey}).runAnswer(ctx)
		return err
	})
	return took, err
}

// coldFlags returns the settings of a server without warm sandboxes.
func coldFlags() []string { return []string{"--warm=0", "--warm-node=0"} }
