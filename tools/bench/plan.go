package main

import "time"

// plan holds the number and the length of the measurements.
type plan struct {
	// latencyRounds is the number of rounds for latency. Each has a few commands,
	// and requests without a pause for the time backToBack.
	latencyRounds int
	backToBack    time.Duration
	// coldStarts is the number of server starts to measure a first run.
	coldStarts int
	// loadRounds is the number of rounds under load. Each has one load and a
	// number of new tenants.
	loadRounds int
	load       time.Duration
	newTenants int
	// openRounds is the number of rounds with a constant arrival rate.
	openRounds int
	open       time.Duration
	// pairs is the number of CPU-bound measurements inside and outside.
	pairs int
	// auditEntries is the number of entries in the long audit log.
	auditEntries int
	// settle is how long a server is idle before its memory is read.
	idleTime time.Duration
}

func fullPlan() plan {
	return plan{
		latencyRounds: 8, backToBack: 2500 * time.Millisecond,
		coldStarts: 8,
		loadRounds: 4, load: 3 * time.Second, newTenants: 60,
		openRounds: 3, open: 5 * time.Second,
		pairs: 20, auditEntries: 1_000_000,
		idleTime: 3 * time.Second,
	}
}

func quickPlan() plan {
	return plan{
		latencyRounds: 2, backToBack: time.Second,
		coldStarts: 2,
		loadRounds: 1, load: time.Second, newTenants: 10,
		openRounds: 1, open: 2 * time.Second,
		pairs: 4, auditEntries: 100_000,
		idleTime: time.Second,
	}
}
