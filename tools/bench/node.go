package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// nodeProgram is the JavaScript program that the measurements run. It prints the
// expected answer.
const nodeProgram = "console.log(42)"

// node returns a command that runs the Node binary of the image outside a sandbox.
func node(rootfs string) command {
	path := filepath.Join(rootfs, "usr/local/bin/node")
	return command{path: path, args: fixedArgs("node", "-e", nodeProgram)}
}

// nodeSettings returns the environment variables with which a server downloads Node.
func nodeSettings() []string {
	var settings []string
	for _, name := range []string{"PYTH_ON_NODE", "PYTH_ON_NPM_REGISTRY", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			settings = append(settings, name+"="+value)
		}
	}
	return settings
}

// measureNode measures a server that has two warm sandboxes for Node and none for
// Python.
func (b *bench) measureNode(ctx context.Context) error {
	if b.results.bareNode.missingReason != "" {
		return nil
	}
	return b.serve(ctx, b.warmData, []string{"--warm=0", "--warm-node=2"}, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		if err := sleep(ctx, b.plan.idleTime); err != nil {
			return err
		}
		for _, pids := range processesOf(s.pid()).sandboxes {
			if charged, ok := cgroupMemory(pids[0]); ok {
				b.results.nodeCgroup.add([]float64{charged})
			} else {
				b.results.nodeCgroup.missingReason = "sandboxes have no cgroup of their own here"
			}
		}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("JavaScript", n),
			subject{b.results.bareNode, repeatN(10, b.bareNode.untilEnded)},
			subject{b.results.pacedNode, withRest(repeatWithPause(8, restTime/2, tenant.runAnswerInNode))},
		)
	})
}

func (a *account) runAnswerInNode(ctx context.Context) (time.Duration, error) {
	printed, took, err := a.executeIn(ctx, "javascript", nodeProgram)
	if err == nil && printed != answer {
		err = fmt.Errorf("the program printed %q", printed)
	}
	return took, err
}
