package main

// results contains the series of all measurements. If the report compares a subject
// with several other subjects, the subject has a separate series for each comparison.
type results struct {
	bare, embedded, bubblewrap              *series
	runscDirectory, runscImage              *series
	warm, paced, health, keys               *series
	bareImporting, importing, session       *series
	cold, coldRunsc                         *series
	sandboxOwn, sandboxShare, sandboxCgroup *series
	idle, idleOwn, idleAfter                *series
	bareNode, pacedNode, nodeCgroup         *series
	line, generated                         *series
	pacedSecrets, redaction                 *series
	auditFew, auditMany, auditRare          *series
	pacedWithout, pacedPackages             *series
	dispatched, undispatched, dispatchCost  *series
	dispatchedLine, onWarmWorker            *series
	installed, installedAgain               *series
	bareBesideNumPy, numPy, numPyAhead      *series
	// auditEntries is the number of entries in the audit log that auditMany measures.
	auditEntries                   int
	inside, outside                kernelTimes
	eightClients, eightBubblewraps *series
	dify, newTenants               *series
	parallelRunsc                  []*series
	open                           []*openRate
	// The field "submitted" contains the times until the server accepts an asynchronous
	// run. The field "submissions" contains the numbers of runs that a server accepts
	// per second. recordPage and rareRecords contain the times of requests for pages of
	// a list of runs.
	submitted, submissions  *series
	recordPage, rareRecords *series
	// records is the number of runs in the list that recordPage measures.
	records int
	// sessions is the number of sessions in each measurement below.
	sessions int
	// sessionsInTurn, sessionsStaggered and sessionsAtOnce contain the times until a
	// session returns its first answer. idleSession contains the memory of a waiting
	// session.
	sessionsInTurn, sessionsStaggered *series
	sessionsAtOnce, idleSession       *series
	// busySession contains the memory of a session with waiting processes. The field
	// "command" contains the durations of requests that run a command in a session, minus
	// the command's own time. The field "echo" contains the time from a key to its echo
	// in a terminal.
	busySession, command, echo *series
}

// openRate contains the latencies of requests that arrive at a constant rate. The field
// "rate" is the number of requests per second.
type openRate struct {
	// share is the arrival rate divided by the sustainable rate. The sustainable rate
	// is the rate while all clients are busy.
	share float64
	rate  float64
	*series
}

func newResults(reference, embedded python) *results {
	of := func(name string, u unit) *series { return &series{name: name, unit: u} }
	return &results{
		bare:              of(reference.label, seconds),
		embedded:          of(embedded.label, seconds),
		bubblewrap:        of("bubblewrap", seconds),
		runscDirectory:    of("`runsc run`", seconds),
		runscImage:        of("`runsc run` of an image", seconds),
		warm:              of("warm, back to back", seconds),
		paced:             of("warm, with pauses", seconds),
		bareImporting:     of("the same imports in "+reference.label, seconds),
		importing:         of("warm with imports, with pauses", seconds),
		session:           of("session until its first answer", seconds),
		submitted:         of("asynchronous run, accepted", seconds),
		submissions:       of("asynchronous runs, accepted", perSecond),
		recordPage:        of("GET /api/v1/executions", seconds),
		rareRecords:       of("GET /api/v1/executions, rare label", seconds),
		sessionsInTurn:    of("sessions, one after the other", seconds),
		sessionsStaggered: of("sessions, one each 200 ms", seconds),
		sessionsAtOnce:    of("sessions, all at once", seconds),
		idleSession:       of("waiting session", memorySize),
		busySession:       of("waiting session with processes", memorySize),
		command:           of("a command in a session", seconds),
		echo:              of("a key in a terminal", seconds),
		health:            of("GET /api/health", seconds),
		keys:              of("GET /api/v1/keys", seconds),
		cold:              of("cold", seconds),
		coldRunsc:         of("`runsc run`", seconds),
		sandboxOwn:        of("waiting sandbox, its own", memorySize),
		sandboxShare:      of("waiting sandbox, its share", memorySize),
		sandboxCgroup:     of("waiting sandbox, its cgroup", memorySize),
		idle:              of("idle server", memorySize),
		idleAfter:         of("idle server after runs", memorySize),
		idleOwn:           of("idle server, without the program", memorySize),
		bareNode:          of("Node", seconds),
		pacedNode:         of("warm JavaScript, with pauses", seconds),
		nodeCgroup:        of("waiting sandbox with Node, its cgroup", memorySize),
		line:              of("a line in a stream", seconds),
		pacedSecrets:      of("warm with secrets, with pauses", seconds),
		redaction:         of("redaction", seconds),
		auditFew:          of("GET /api/v1/audit, few entries", seconds),
		auditMany:         of("GET /api/v1/audit, many entries", seconds),
		auditRare:         of("GET /api/v1/audit, rare entries among many", seconds),
		generated:         of("generation", seconds),
		pacedWithout:      of("without both", seconds),
		dispatched:        of("warm on a worker, with pauses", seconds),
		undispatched:      of("on the machine of the server", seconds),
		dispatchCost:      of("dispatch to a worker", seconds),
		dispatchedLine:    of("a line in a stream from a worker", seconds),
		onWarmWorker:      of("runs of a tenant on one worker", share),
		pacedPackages:     of("warm with packages, with pauses", seconds),
		installed:         of("installing packages", seconds),
		installedAgain:    of("installing packages that are cached", seconds),
		bareBesideNumPy:   of(reference.label, seconds),
		numPy:             of("NumPy, imported in the program", seconds),
		numPyAhead:        of("NumPy, imported ahead", seconds),
		inside:            newBusy("inside"),
		outside:           newBusy("outside"),
		eightClients:      of("one tenant, 8 clients", perSecond),
		eightBubblewraps:  of("8 bubblewraps at once", perSecond),
		dify:              &series{name: "dify-sandbox", unit: perSecond, missingReason: "there is no --dify-sandbox"},
		newTenants:        of("new tenants", perSecond),
		open:              []*openRate{{share: 0.5, series: of("open loop", seconds)}, {share: 0.8, series: of("open loop", seconds)}},
	}
}

// fastestRunsc returns the series of parallel runsc commands that has the highest rate,
// or nil if there is no series.
func (r *results) fastestRunsc() *series {
	var fastest *series
	for _, s := range r.parallelRunsc {
		if !s.empty() && (fastest == nil || s.quantile(0.5) > fastest.quantile(0.5)) {
			fastest = s
		}
	}
	return fastest
}

// difySandbox returns the rate of dify-sandbox with 8 clients. If the benchmark did not
// measure dify-sandbox, it estimates the rate from a measurement on another machine. On
// that machine, dify-sandbox executed 64 runs per second on two cores, and a start of
// python3 took 10 ms.
func (r *results) difySandbox(cores int) *series {
	if !r.dify.empty() {
		return r.dify
	}
	if r.bare.empty() {
		return nil
	}
	estimate := 64 * 0.010 / r.bare.quantile(0.5) * float64(cores) / 2
	return &series{name: "dify-sandbox, estimated", unit: perSecond, rounds: [][]float64{{estimate}}}
}

// absence is a measurement that this machine does not support. It contains the reason.
type absence struct{ Name, Reason string }

// The method "missing" returns all measurements that this machine does not support.
func (r *results) missing() []absence {
	var all []absence
	for _, s := range append([]*series{r.bubblewrap, r.runscDirectory, r.runscImage, r.sandboxOwn, r.sandboxCgroup, r.numPy}, r.parallelRunsc...) {
		if s.missingReason != "" {
			all = append(all, absence{s.name, s.missingReason})
		}
	}
	return all
}
