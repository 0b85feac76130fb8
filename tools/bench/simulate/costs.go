package main

import "time"

// These are the costs of one run of print(42), measured on one machine with two
// processors (see docs/benchmarks.md and docs/scaling.md). A cost is processor time,
// unless the comment says "elapsed time".
const (
	// serverCost is the processor time that an API server needs for a run. It includes
	// HTTP, JSON, accounts, the entry in the audit log, and Go's scheduler.
	serverCost = 1130 * time.Microsecond
	// workerCost is the processor time that a sandbox needs for a run in a restored
	// interpreter.
	workerCost = 3670 * time.Microsecond
	// bootCost is the processor time that the boot of a sandbox takes. A user who has
	// no sandbox needs a new sandbox.
	bootCost = 95 * time.Millisecond
	// messages is the number of NATS messages for a run: the job, its acceptance, the
	// release, the outcome, and one acknowledgement for each. brokerCost is the time
	// that NATS needs for one message. It is an estimate from the documented rates of
	// NATS servers.
	messages   = 8
	brokerCost = 4 * time.Microsecond
	// batchCost is the elapsed time for which a server holds the lock of the audit log.
	// This is the time of two round trips to PostgreSQL on the same machine, and of a
	// write to its disk. entryCost is the additional elapsed time for each entry.
	// BenchmarkRecord in internal/postgres measures both costs.
	batchCost = 750 * time.Microsecond
	entryCost = 20 * time.Microsecond
	// recordCost is the processor time that PostgreSQL needs to store the record of a
	// run and to find the user of the run.
	recordCost = 120 * time.Microsecond
	// networkDelay is the elapsed time that a message takes from one machine to
	// another.
	networkDelay = 100 * time.Microsecond
)

const (
	// sandboxMiB is the memory that the idle sandbox of a user needs, in MiB.
	sandboxMiB = 30
	// keepWarm is the time for which a worker keeps the idle sandbox of a user, if the
	// worker has enough memory.
	keepWarm = 5 * time.Minute
	// target is the utilisation for which the method "sized" computes the number of
	// machines.
	target = 0.6
	// maxBatch is the maximum number of entries in a batch of the audit log.
	maxBatch = 512
	// zipf is the exponent of Zipf's law, which describes how active the users are.
	zipf = 1.1
)
