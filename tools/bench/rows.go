package main

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
)

// row is a row of the table in the report.
type row struct {
	name string
	// series contains the measured values. The row shows the quantile q of these
	// values. This quantile is the figure of the row.
	series *series
	q      float64
	// reference is another series, or nil. The row compares its figure with the median
	// of this series.
	reference *series
	goal      goal
}

// goal is a limit for a row of the table. If ofFigure is true, the goal limits the
// figure of the row. Otherwise it limits the figure divided by the reference. The field
// "sign" is "≤" or "≥", or "" if there is no goal.
type goal struct {
	sign     string
	limit    float64
	ofFigure bool
}

func atMost(limit float64) goal        { return goal{sign: "≤", limit: limit} }
func atLeast(limit float64) goal       { return goal{sign: "≥", limit: limit} }
func figureAtMost(limit float64) goal  { return goal{sign: "≤", limit: limit, ofFigure: true} }
func figureAtLeast(limit float64) goal { return goal{sign: "≥", limit: limit, ofFigure: true} }

func (g goal) met(v float64) bool {
	if g.sign == "≤" {
		return v <= g.limit
	}
	return v >= g.limit
}

const (
	median = 0.5
	p99    = 0.99
)

// rows returns the rows of the table in the report. To add a row, measure a series and
// add a line to this function.
func (r *results) rows(cores int) []row {
	speed := []row{
		{"`python3 -c 'print(42)'`, bare", r.bare, median, nil, goal{}},
		{"the same with the embedded Python", r.embedded, median, r.bare, goal{}},
		{"the same under bubblewrap", r.bubblewrap, median, r.bare, goal{}},
		{"`runsc run` until it prints", r.runscDirectory, median, r.bare, goal{}},
		{"`runsc run` of the server's image", r.runscImage, median, r.runscDirectory, goal{}},

		{"cold: first run after start-up", r.cold, median, r.coldRunsc, atMost(0.8)},
		{"warm, 1 client without pauses, p50", r.warm, median, r.bare, atMost(0.25)},
		{"warm, 1 client without pauses, p99", r.warm, p99, r.bare, atMost(1)},
		{"warm, 1 client with pauses, p50", r.paced, median, r.bare, atMost(0.25)},
		{"warm, 1 client with pauses, p99", r.paced, p99, r.bare, atMost(1)},

		{"warm with five imports, p50", r.importing, median, r.bareImporting, atMost(0.25)},
		{"creating a session and its first run, p50", r.session, median, r.bare, atMost(3)},

		{fmt.Sprintf("%d sessions, one after the other, p50", r.sessions), r.sessionsInTurn, median, r.bare, goal{}},
		{fmt.Sprintf("%d sessions, one each 200 ms, p50", r.sessions), r.sessionsStaggered, median, r.bare, goal{}},
		{fmt.Sprintf("%d sessions, one each 200 ms, p99", r.sessions), r.sessionsStaggered, p99, r.bare, goal{}},
		{fmt.Sprintf("%d sessions at once, p50", r.sessions), r.sessionsAtOnce, median, r.bare, goal{}},
		{fmt.Sprintf("%d sessions at once, p99", r.sessions), r.sessionsAtOnce, p99, r.bare, goal{}},

		{fmt.Sprintf("warm with %d secrets, p50", secretsOfATenant), r.pacedSecrets, median, r.pacedWithout, atMost(1.1)},
		{fmt.Sprintf("warm with %d packages, p50", packagesOfATenant), r.pacedPackages, median, r.pacedWithout, atMost(1.05)},
		{"warm on a worker over NATS, p50", r.dispatched, median, r.undispatched, goal{}},
		{"… more time than in the process of the server, p50", r.dispatchCost, median, nil, figureAtMost(0.001)},
		{"warm with NumPy preloaded, p50", r.numPyAhead, median, r.bareBesideNumPy, atMost(0.5)},
		{"… compared with an import in the program", r.numPyAhead, median, r.numPy, goal{}},

		{"`node -e 'console.log(42)'`, bare", r.bareNode, median, nil, goal{}},
		{"warm JavaScript, 1 client with pauses, p50", r.pacedNode, median, r.bareNode, atMost(0.15)},
		{"warm JavaScript, 1 client with pauses, p99", r.pacedNode, p99, r.bareNode, goal{}},

		{"one tenant, 8 clients", r.eightClients, median, r.eightBubblewraps, atLeast(3)},
		{"one tenant, 8 clients", r.eightClients, median, r.difySandbox(cores), atLeast(4)},
		{"every run from a new tenant", r.newTenants, median, r.fastestRunsc(), atLeast(2)},
	}
	arriving := make([]row, 0, 2*len(r.open))
	for _, o := range r.open {
		name := fmt.Sprintf("one tenant, %s arriving (%.0f %%)", perSecond.format(o.rate), o.share*100)
		arriving = append(arriving,
			row{name + ", p50", o.series, median, r.bare, goal{}},
			row{name + ", p99", o.series, p99, r.bare, atMost(2)})
	}
	other := []row{
		{"CPU-bound Python inside", r.inside.all, median, r.outside.all, atMost(1.03)},
		{"… the part that allocates little", r.inside.computing, median, r.outside.computing, goal{}},
		{"… the part that allocates much", r.inside.allocating, median, r.outside.allocating, goal{}},
		{"waiting sandbox, private memory", r.sandboxOwn, median, nil, figureAtMost(32e6)},
		{"… with its share of shared pages", r.sandboxShare, median, nil, goal{}},
		{"… counted by its cgroup", r.sandboxCgroup, median, nil, figureAtMost(32e6)},
		{"… counted by its cgroup, with Node", r.nodeCgroup, median, nil, figureAtMost(32e6)},
		{fmt.Sprintf("one of %d waiting sessions, private memory", r.sessions), r.idleSession, median, nil, figureAtMost(32e6)},
		{fmt.Sprintf("… with %d waiting processes", processesOfSession), r.busySession, median, nil, goal{}},
		{"a command in a session, beyond its own time, p50", r.command, median, nil, figureAtMost(0.003)},
		{"a key in a terminal, key to echo, p50", r.echo, median, nil, figureAtMost(0.005)},
		{"a key in a terminal, key to echo, p99", r.echo, p99, nil, goal{}},
		{"idle server, empty pool", r.idle, median, nil, figureAtMost(60e6)},
		{"… without the pages of the binary", r.idleOwn, median, nil, figureAtMost(60e6)},
		{"… after runs", r.idleAfter, median, nil, figureAtMost(60e6)},
		{"a line of a stream, write to client, p50", r.line, median, nil, figureAtMost(0.020)},
		{"a line of a stream, write to client, p99", r.line, p99, nil, figureAtMost(0.020)},
		{"… from a worker over NATS, p50", r.dispatchedLine, median, nil, figureAtMost(0.020)},
		{"runs of one tenant on its warm worker, with two workers", r.onWarmWorker, median, nil, figureAtLeast(0.99)},
		{"replacing 200 secrets in 1 MB of output", r.redaction, median, nil, figureAtMost(0.010)},
		{"a generation, without model and run, p50", r.generated, median, nil, figureAtMost(0.005)},
		{fmt.Sprintf("installing %d packages for the first time", packagesOfATenant), r.installed, median, nil, goal{}},
		{fmt.Sprintf("installing %d packages that are cached, p50", packagesOfATenant), r.installedAgain, median, nil, figureAtMost(2)},
		{"`GET /api/health`, p50", r.health, median, nil, figureAtMost(0.001)},
		{"`GET /api/v1/keys`, p50", r.keys, median, nil, figureAtMost(0.001)},
		{"asynchronous run, accepted and durable, p50", r.submitted, median, nil, figureAtMost(0.003)},
		{fmt.Sprintf("asynchronous runs accepted, %d clients", submitters), r.submissions, median, nil, figureAtLeast(1000)},
		{"listing of runs at " + humanize.Comma(int64(r.records)) + " records, p50", r.recordPage, median, nil, figureAtMost(0.005)},
		{"… runs with a rare label, p50", r.rareRecords, median, nil, figureAtMost(0.005)},
		{"audit listing at 50 entries, p50", r.auditFew, median, nil, figureAtMost(0.005)},
		{"audit listing at " + humanize.Comma(int64(r.auditEntries)) + " entries, p50", r.auditMany, median, nil, figureAtMost(0.005)},
		{"… entries of a rare action, p50", r.auditRare, median, nil, figureAtMost(0.005)},
	}
	return withMeasurements(slices.Concat(speed, arriving, other))
}

// withMeasurements removes the rows that have no measured values.
func withMeasurements(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.series.empty() })
}

// hasReference reports whether the row has a reference with measured values.
func (r row) hasReference() bool { return !r.reference.empty() }

// verdict returns whether the row meets its goal: "met" or "missed". It returns "" if
// the row has no goal, or if the reference for the goal has no values.
func (r row) verdict() string {
	v := r.series.quantile(r.q)
	switch {
	case r.goal.sign == "" || !r.goal.ofFigure && !r.hasReference():
		return ""
	case !r.goal.ofFigure:
		v = ratioOf(r.series, r.q, r.reference).overall
	}
	if r.goal.met(v) {
		return "met"
	}
	return "missed"
}
