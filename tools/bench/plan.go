package main

import "time"

// plan determines how many measurements the benchmark makes, and how long each
// measurement takes.
type plan struct {
	// latencyRounds is the number of rounds that measure latency. In each round, one
	// client also sends requests without pauses for the time backToBack.
	latencyRounds int
	backToBack    time.Duration
	// coldStarts is the number of servers that the benchmark starts to measure their
	// first run.
	coldStarts int
	// loadRounds is the number of rounds with eight busy clients. The field "load" is
	// the duration of such a round. newTenants is the number of tenants in each round.
	// Each of these tenants runs one program.
	loadRounds int
	load       time.Duration
	newTenants int
	// openRounds is the number of rounds with a constant arrival rate. The field "open"
	// is the duration of such a round.
	openRounds int
	open       time.Duration
	// pairs is the number of measurements that run the CPU-bound programs inside and
	// outside a sandbox.
	pairs int
	// sessions is the number of sessions in each measurement that follows a benchmark
	// of ComputeSDK.
	sessions int
	// records is the number of runs in the long list of runs that the benchmark
	// creates.
	records int
	// auditEntries is the number of entries in the long audit log that the benchmark
	// creates.
	auditEntries int
	// idleTime is the time that a server is idle before the benchmark measures its
	// memory.
	idleTime time.Duration
}

func fullPlan() plan {
	return plan{
		latencyRounds: 8, backToBack: 2500 * time.Millisecond,
		coldStarts: 8,
		loadRounds: 4, load: 3 * time.Second, newTenants: 60,
		openRounds: 3, open: 5 * time.Second,
		pairs: 20, sessions: sessionsAtOnce, records: 1_000_000, auditEntries: 1_000_000,
		idleTime: 3 * time.Second,
	}
}

func quickPlan() plan {
	return plan{
		latencyRounds: 2, backToBack: time.Second,
		coldStarts: 2,
		loadRounds: 1, load: time.Second, newTenants: 10,
		openRounds: 1, open: 2 * time.Second,
		pairs: 4, sessions: 10, records: 100_000, auditEntries: 100_000,
		idleTime: time.Second,
	}
}
