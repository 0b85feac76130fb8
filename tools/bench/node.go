package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// nodeProgram prints the answer.
const nodeProgram = "console.log(42)"

// node runs the image's Node outside of any sandbox.
func node(rootfs string) command {
	path := filepath.Join(rootfs, "usr/local/bin/node")
	return command{path: path, args: fixed("node", "-e", nodeProgram)}
}

// nodeSettings returns the settings that a server needs from this shell to fetch
// Node.
func nodeSettings() []string {
	var settings []string
	for _, name := range []string{"PYTH_ON_NODE", "PYTH_ON_NPM_REGISTRY", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			settings = append(settings, name+"="+value)
		}
	}
	return settings
}

// withNode measures a server with warm Node sandboxes only.
func (b *bench) withNode(ctx context.Context) error {
	if b.results.bareNode.why != "" {
		return nil
	}
	return b.serve(ctx, b.warmData, []string{"--warm=0", "--warm-node=2"}, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		if err := sleep(ctx, b.plan.settle); err != nil {
			return err
		}
		for _, pids := range processesOf(s.pid()).sandboxes {
			if charged, ok := cgroupMemory(pids[0]); ok {
				b.results.nodeCgroup.add([]float64{charged})
			} else {
				b.results.nodeCgroup.why = "sandboxes have no cgroup of their own here"
			}
		}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("JavaScript", n),
			subject{b.results.bareNode, times(10, b.bareNode.untilEnded)},
			subject{b.results.pacedNode, resting(pausing(8, rest/2, tenant.answersInNode))},
		)
	})
}

// answersInNode runs the program that the Node measurements use.
func (a *account) answersInNode(ctx context.Context) (time.Duration, error) {
	printed, took, err := a.executeIn(ctx, "javascript", nodeProgram)
	if err == nil && printed != answer {
		err = fmt.Errorf("the program printed %q", printed)
	}
	return took, err
}
