package main

import (
	"context"
	"time"
)

// measureWithoutPool measures the memory of a server without warm sandboxes, and the
// times of CPU-bound programs on this server. Such a server boots no sandboxes in the
// background, so no boots affect the measurements.
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

// The method "idle" waits until the server does no work. Then it returns the memory of
// the server's processes.
func (b *bench) idle(ctx context.Context, s *server) (memory, error) {
	b.progress.step("Memory of an idle server")
	if err := sleep(ctx, b.plan.idleTime); err != nil {
		return memory{}, err
	}
	return memoryOf(processesOf(s.pid()).server)
}

// coldStarts measures the first run on new servers. It compares this run with a run in
// runsc.
func (b *bench) coldStarts(ctx context.Context) error {
	n := b.plan.coldStarts
	return alternate(ctx, n, b.progress.rounds("Cold starts", n),
		subject{b.results.cold, repeatN(1, b.coldRun)},
		subject{b.results.coldRunsc, repeatN(1, b.runscDirectory.untilAnswered)},
	)
}

// coldRun starts a server and measures the first run on this server. The measured time
// does not include the start of the server.
func (b *bench) coldRun(ctx context.Context) (took time.Duration, err error) {
	err = b.serve(ctx, b.coldData, coldFlags(), func(s *server) error {
		took, err = (&account{api: s.api, key: b.coldKey}).runAnswer(ctx)
		return err
	})
	return took, err
}

func coldFlags() []string { return []string{"--warm=0", "--warm-node=0"} }
