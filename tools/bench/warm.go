package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// clients is the number of clients that send requests at the same time in measurements
// under load.
const clients = 8

// measureWarmServer measures a server with the default settings. The only difference is
// that the server has no warm sandboxes for Node.
func (b *bench) measureWarmServer(ctx context.Context) error {
	return b.serve(ctx, b.warmData, []string{"--warm-node=0"}, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		if err := b.waitingSandboxes(ctx, s); err != nil {
			return err
		}
		if err := b.latency(ctx, tenant); err != nil {
			return err
		}
		if err := b.oneTenant(ctx, tenant); err != nil {
			return err
		}
		if err := b.manyTenants(ctx, s); err != nil {
			return err
		}
		return b.constantRates(ctx, tenant)
	})
}

// waitingSandboxes measures the memory of warm sandboxes. These sandboxes have not yet
// run a program.
func (b *bench) waitingSandboxes(ctx context.Context, s *server) error {
	b.progress.step("Memory of waiting sandboxes")
	if err := sleep(ctx, b.plan.idleTime); err != nil {
		return err
	}
	found := processesOf(s.pid()).sandboxes
	if len(found) == 0 {
		return errors.New("no sandbox waits in a server with the default settings")
	}
	for _, pids := range found {
		m, err := memoryOf(pids)
		if err != nil {
			b.results.sandboxOwn.missingReason = err.Error()
		} else {
			b.results.sandboxOwn.add([]float64{m.private})
			b.results.sandboxShare.add([]float64{m.share})
		}
		if charged, ok := cgroupMemory(pids[0]); ok {
			b.results.sandboxCgroup.add([]float64{charged})
		} else {
			b.results.sandboxCgroup.missingReason = "sandboxes have no cgroup of their own here"
		}
	}
	return nil
}

// The method "latency" measures the latency for one client. It compares this latency
// with commands that run without a server.
func (b *bench) latency(ctx context.Context, tenant *account) error {
	n := b.plan.latencyRounds
	return alternate(ctx, n, b.progress.rounds("Latency", n),
		subject{b.results.bare, repeatN(15, b.bare.untilEnded)},
		subject{b.results.embedded, repeatN(10, b.bareEmbedded.untilEnded)},
		subject{b.results.bubblewrap, repeatN(10, b.bubblewrap.untilEnded)},
		subject{b.results.runscDirectory, repeatN(3, b.runscDirectory.untilAnswered)},
		subject{b.results.runscImage, repeatN(3, b.runscImage.untilAnswered)},
		subject{b.results.warm, withRest(repeatFor(b.plan.backToBack, tenant.runAnswer))},
		subject{b.results.paced, withRest(repeatWithPause(8, restTime/2, tenant.runAnswer))},
		subject{b.results.bareImporting, repeatN(10, b.bareImporting.untilEnded)},
		subject{b.results.importing, withRest(repeatWithPause(8, restTime/2, tenant.runImporting))},
		subject{b.results.session, withRest(repeatWithPause(3, restTime/2, tenant.runInSession))},
		subject{b.results.redaction, repeatN(5, redaction())},
		subject{b.results.line, withRest(tenant.streamTicks)},
		subject{b.results.health, repeatN(100, tenant.get("/api/health"))},
		subject{b.results.keys, repeatN(100, tenant.get("/api/v1/keys"))},
	)
}

func (b *bench) oneTenant(ctx context.Context, tenant *account) error {
	// Discard the result of the first measurement under load, because the pool of
	// sandboxes still adapts its size.
	if _, err := withRest(closedLoop(clients, time.Second, tenant.runAnswer))(ctx); err != nil {
		return err
	}
	n := b.plan.loadRounds
	return alternate(ctx, n, b.progress.rounds("One tenant, 8 clients", n),
		subject{b.results.eightBubblewraps, closedLoop(clients, b.plan.load, b.bubblewrap.untilEnded)},
		subject{b.results.eightClients, withRest(closedLoop(clients, b.plan.load, tenant.runAnswer))},
		subject{b.results.dify, withRest(closedLoop(clients, b.plan.load, b.dify.runAnswer))},
	)
}

func (b *bench) manyTenants(ctx context.Context, s *server) error {
	n := b.plan.loadRounds
	b.progress.step(fmt.Sprintf("Registering %d accounts", n*b.plan.newTenants))
	tenants, err := registerAll(ctx, s.api, n*b.plan.newTenants)
	if err != nil {
		return err
	}
	subjects := []subject{{b.results.newTenants, withRest(func(ctx context.Context) ([]float64, error) {
		return runOnce(ctx, tenants, b.plan.newTenants)
	})}}
	for i, at := range parallelCounts(runtime.NumCPU()) {
		subjects = append(subjects, subject{b.results.parallelRunsc[i], closedLoop(at, b.plan.load, b.runscDirectory.untilEnded)})
	}
	return alternate(ctx, n, b.progress.rounds("Every run from a new tenant", n), subjects...)
}

// constantRates measures the latency at several constant rates of requests. Each rate
// is a fraction of the sustainable rate.
func (b *bench) constantRates(ctx context.Context, tenant *account) error {
	most := b.results.eightClients.quantile(median)
	subjects := make([]subject, 0, len(b.results.open))
	for _, o := range b.results.open {
		o.rate = o.share * most
		subjects = append(subjects, subject{o.series, withRest(func(ctx context.Context) ([]float64, error) {
			return openLoop(ctx, schedule(o.rate, b.plan.open), func(ctx context.Context) error {
				_, err := tenant.runAnswer(ctx)
				return err
			})
		})})
	}
	n := b.plan.openRounds
	return alternate(ctx, n, b.progress.rounds("Constant arrival rates", n), subjects...)
}
