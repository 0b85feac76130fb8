package main

import "time"

// plan says how much is measured.
type plan struct {
	// latencyRounds are of a few commands each, and of this long a row of
	// requests without a pause.
	latencyRounds int
	backToBack    time.Duration
	// coldStarts is how often the server is started to time its first run.
	coldStarts int
	// loadRounds are of this long a load each, and of this many new tenants.
	loadRounds int
	load       time.Duration
	newTenants int
	// openRounds are of this long a constant arrival rate each.
	openRounds int
	open       time.Duration
	// pairs is how often the processor is kept busy inside and outside.
	pairs int
	// auditEntries are in the audit log whose pages are timed.
	auditEntries int
	// settle is how long a server is left alone before its memory is read.
	settle time.Duration
}

func fullPlan() plan {
	return plan{
		latencyRounds: 8, backToBack: 2500 * time.Millisecond,
		coldStarts: 8,
		loadRounds: 4, load: 3 * time.Second, newTenants: 60,
		openRounds: 3, open: 5 * time.Second,
		pairs: 20, auditEntries: 1_000_000,
		settle: 3 * time.Second,
	}
}

func quickPlan() plan {
	return plan{
		latencyRounds: 2, backToBack: time.Second,
		coldStarts: 2,
		loadRounds: 1, load: time.Second, newTenants: 10,
		openRounds: 1, open: 2 * time.Second,
		pairs: 4, auditEntries: 100_000,
		settle: time.Second,
	}
}
