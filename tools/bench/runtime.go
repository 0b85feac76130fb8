package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measureNumPy builds a custom image that contains NumPy from Debian packages. It
// measures two kinds of runs: in sandboxes that have already imported NumPy, and in
// sandboxes without this import.
func (b *bench) measureNumPy(ctx context.Context) error {
	b.progress.step("Building an image with NumPy")
	file := filepath.Join(filepath.Dir(b.warmData), "numpy.tar")
	build := exec.CommandContext(ctx, b.binary, "runtime", "build", "--from-debian=python3,python3-numpy", "-o", file)
	if out, err := build.CombinedOutput(); err != nil {
		b.results.numPy.missingReason = fmt.Sprintf("no runtime could be built: %s", strings.TrimSpace(string(out)))
		return ctx.Err()
	}
	flags := []string{"--warm=0", "--warm-node=0", "--runtime=ahead=" + file, "--preload=ahead=numpy", "--runtime=numpy=" + file}
	return b.serve(ctx, b.warmData, flags, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("NumPy", n),
			subject{b.results.bareBesideNumPy, repeatN(10, b.bare.untilEnded)},
			subject{b.results.numPyAhead, withRest(repeatWithPause(8, restTime/2, tenant.runNumPy("ahead")))},
			subject{b.results.numPy, withRest(repeatWithPause(8, restTime/2, tenant.runNumPy("numpy")))},
		)
	})
}

// runNumPy returns an operation that computes the answer with NumPy in the given custom
// image.
func (a *account) runNumPy(runtime string) operation {
	return func(ctx context.Context) (time.Duration, error) {
		request := map[string]any{"runtime": runtime, "code": "import numpy as np\nprint(np.full(6, 7).sum())"}
		printed, took, err := a.run(ctx, request)
		if err == nil && printed != answer {
			err = fmt.Errorf("the program printed %q", printed)
		}
		return took, err
	}
}
