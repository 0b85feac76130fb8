package main

import "time"

// plan sets the number and length of the measurements.
type plan struct {
	// latencyRounds have a few commands each, and a sequence of requests without a
	// pause for the time backToBack.
	latencyRounds int
	backToBack    time.Duration
	// coldStarts counts the server starts that time a first run.
	coldStarts int
	// loadRounds have one load and a number of new tenants each.
	loadRounds int
	load       time.Duration
	newTenants int
	// openRounds have a constant arrival rate each.
	openRounds int
	open       time.Duration
	// pairs counts the CPU-bound measurements inside and outside.
	pairs int
	// auditEntries counts the entries of the audit log whose pages are timed.
	auditEntries int
	// settle is the idle time of a server before its memory is read.
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
