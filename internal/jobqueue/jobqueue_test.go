package jobqueue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"

	"github.com/pyth-on/pyth-on/internal/jobqueue"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

var cluster *postgrestest.Cluster

func TestMain(m *testing.M) {
	os.Exit(postgrestest.Main(m, func(c *postgrestest.Cluster) { cluster = c }))
}

// note contains the arguments of a job. The test waits until the job has run.
type note struct {
	Text string `json:"text"`
}

func (note) Kind() string { return "note" }

// failingOnce is the text of a job whose first attempt fails. The second attempt
// succeeds.
const failingOnce = "again"

// worker sends the text of each attempt to the channel "seen".
type worker struct {
	river.WorkerDefaults[note]

	seen chan string
}

func (w *worker) Work(ctx context.Context, job *river.Job[note]) error {
	select {
	case w.seen <- job.Args.Text:
	case <-ctx.Done():
		return ctx.Err()
	}
	if job.Args.Text == failingOnce && job.Attempt == 1 {
		return errors.New("the first attempt fails")
	}
	return nil
}

func (*worker) NextRetry(*river.Job[note]) time.Time { return time.Now() }

func newWorker() *worker {
	return &worker{seen: make(chan string)}
}

// The function "started" returns a queue that has the worker w and is already running.
func started[TTx any](t *testing.T, driver riverdriver.Driver[TTx], w *worker) *jobqueue.Queue {
	t.Helper()
	q := jobqueue.New(jobqueue.Config{Logger: slog.New(slog.DiscardHandler), Sole: true})
	jobqueue.Add(q, w)
	if err := jobqueue.Start(t.Context(), q, driver); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func insert(t *testing.T, q *jobqueue.Queue, text string) {
	t.Helper()
	if err := q.Insert(t.Context(), note{text}, nil); err != nil {
		t.Fatal(err)
	}
}

func wantSeen(t *testing.T, w *worker, text string) {
	t.Helper()
	if got := <-w.seen; got != text {
		t.Fatalf("the worker got the job %q, want %q", got, text)
	}
}

func openSQLite(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestQueueOfSQLite(t *testing.T) {
	testQueue(t, openSQLite(t, filepath.Join(t.TempDir(), "db")).Jobs())
}

// TestQueueRunsJobsFromTheFuture starts a queue after the clock was set back. A killed
// server has left two rows in the database. One row is a job whose last attempt was in
// the future. The other row is the leader of River.
func TestQueueRunsJobsFromTheFuture(t *testing.T) {
	driver := openSQLite(t, filepath.Join(t.TempDir(), "db")).Jobs()
	w := newWorker()
	q := started(t, driver, w)
	insert(t, q, "first")
	wantSeen(t, w, "first")
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"available", "retryable", "scheduled"} {
		insert(t, q, text)
		if err := driver.GetExecutor().Exec(t.Context(), "UPDATE river_job SET state = ?, attempted_at = datetime('now', '+1 day', 'subsec'),"+
			" scheduled_at = datetime('now', '+1 day', '+5 seconds', 'subsec') WHERE args LIKE '%' || ? || '%'", text, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := driver.GetExecutor().Exec(t.Context(), "INSERT INTO river_leader (leader_id, elected_at, expires_at)"+
		" VALUES ('killed', datetime('now', '+1 day', 'subsec'), datetime('now', '+1 day', '+15 seconds', 'subsec'))"); err != nil {
		t.Fatal(err)
	}
	w = newWorker()
	started(t, driver, w)
	seen := map[string]bool{}
	for len(seen) < 3 {
		seen[<-w.seen] = true
	}
}

func TestQueueOfPostgreSQL(t *testing.T) {
	name, err := cluster.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), cluster.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	testQueue(t, s.Jobs())
}

func testQueue[TTx any](t *testing.T, driver riverdriver.Driver[TTx]) {
	w := newWorker()
	q := started(t, driver, w)
	insert(t, q, "first")
	wantSeen(t, w, "first")

	// The queue tries a failed job again.
	insert(t, q, failingOnce)
	wantSeen(t, w, failingOnce)
	wantSeen(t, w, failingOnce)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}

	// If a server is killed while it runs a job, the next start runs the job again.
	insert(t, q, "interrupted")
	if err := driver.GetExecutor().Exec(t.Context(), "UPDATE river_job SET state = 'running' WHERE state = 'available'"); err != nil {
		t.Fatal(err)
	}
	w = newWorker()
	started(t, driver, w)
	wantSeen(t, w, "interrupted")
}

func TestQueueWithoutJobsUsesNoGoroutines(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "db"))
	w := newWorker()
	q := started(t, s.Jobs(), w)
	if stacks := goroutines(t); strings.Contains(stacks, "riverqueue") {
		t.Errorf("River runs goroutines before the first job:\n%s", stacks)
	}
	insert(t, q, "first")
	wantSeen(t, w, "first")
	if !strings.Contains(goroutines(t), "riverqueue") {
		t.Error("no goroutine of River is found after the first job")
	}
}

// goroutines returns the stacks of all goroutines. A stack contains the package names of
// its functions. With these names, a test can tell the goroutines of River from the
// goroutines of the store.
func goroutines(t *testing.T) string {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return stacks.String()
}

func TestQueueWithoutWorkersCreatesNoTables(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "db"))
	q := jobqueue.New(jobqueue.Config{Logger: slog.New(slog.DiscardHandler)})
	if err := jobqueue.Start(t.Context(), q, s.Jobs()); err != nil {
		t.Fatal(err)
	}
	if err := q.Insert(t.Context(), note{"lost"}, nil); err == nil {
		t.Error("Insert succeeds although no worker runs the job")
	}
	if err := s.Jobs().GetExecutor().Exec(t.Context(), "SELECT 1 FROM river_job"); err == nil {
		t.Error("the queue has created its tables")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

func TestSnapshotContainsNoJobs(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "db"))
	started(t, s.Jobs(), newWorker())
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	tables, err := snapshot.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name := range tables {
		if name == "river_job" {
			t.Error("a snapshot for another database contains River's tables")
		}
	}
}
