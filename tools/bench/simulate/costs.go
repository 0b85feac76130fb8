package main

import "time"

// Costs of one run of print(42), measured on one machine with two processors; see
// docs/benchmarks.md and docs/scaling.md. All costs are processor time, if the comment
// does not say "elapsed time".
const (
	// serverCost is the processor time of an API server for a run: HTTP, JSON,
	// accounts, the entry in the audit log, and Go's scheduler.
	serverCost = 1130 * time.Microsecond
	// workerCost is the processor time of a sandbox for a run, if the interpreter is
	// restored.
	workerCost = 3670 * time.Microsecond
	// bootCost is the processor time to boot a sandbox for a user who has no sandbox.
	bootCost = 95 * time.Millisecond
	// messages is the number of messages of a run through NATS: the job, its
	// acceptance, the release, the outcome, and an acknowledgement of each. brokerCost
	// is the time of NATS for one message, an estimate from the documented rates of
	// NATS servers.
	messages   = 8
	brokerCost = 4 * time.Microsecond
	// batchCost is the elapsed time that one server holds the lock of the audit log:
	// two round trips to PostgreSQL on the same machine, and a write to its disk.
	// entryCost is the additional elapsed time for each entry. The benchmark
	// BenchmarkRecord of internal/postgres measures batchCost and entryCost.
	batchCost = 750 * time.Microsecond
	entryCost = 20 * time.Microsecond
	// recordCost is the processor time of PostgreSQL to store the record of a run,
	// and to find its user.
	recordCost = 120 * time.Microsecond
	// networkDelay is the elapsed time of a message between two machines.
	networkDelay = 100 * time.Microsecond
)

const (
	// sandboxMiB is the memory of a user's idle sandbox in MiB.
	sandboxMiB = 30
	// keepWarm is the time that a user's idle sandbox stays, if there is memory.
	keepWarm = 5 * time.Minute
	// The method "sized" computes the number of machines for the utilisation "target".
	target = 0.6
	// maxBatch is the maximum number of entries in a batch of the audit log.
	maxBatch = 512
	// zipf is the exponent of Zipf's law for the activity of users.
	zipf = 1.1
)
