// Package jobqueue runs durable background jobs. An example is a delivery that is tried
// again for hours. Each job is a row in the database of the server. The Go library River
// runs the jobs.
//
// The library River stores the arguments of a job in plain text. Therefore the arguments
// contain only an ID. The component that inserts the job stores the data of the job
// under this ID.
package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// Config configures a Queue.
type Config struct {
	Logger *slog.Logger
	// Sole is true if no other server uses the database. In this case, Start immediately
	// repeats jobs that were interrupted when the last server ended. With SQLite, it
	// also corrects times in the future. If there are no unfinished jobs, the Queue uses
	// no goroutines until the first call of Insert. If several servers use the database,
	// the Queue always runs, because it also runs jobs that other servers inserted.
	Sole bool
	// MaxWorkers is the maximum number of jobs that run at the same time. Zero means
	// four jobs for each processor.
	MaxWorkers int
}

// These constants are the times of a Queue.
const (
	// jobTimeout is the time-out of one attempt of a job.
	jobTimeout = time.Minute
	// rescueAfter is the time after which another server repeats the job of a lost
	// server.
	rescueAfter = 2 * jobTimeout
	// stopTimeout is the maximum time that Close waits for running jobs. After this time,
	// Close cancels the jobs that are still running.
	stopTimeout = 5 * time.Second
	// repairInterval is the time between two searches for jobs with wrong times. The
	// times of jobs are wrong after the clock was set back.
	repairInterval = 30 * time.Second
)

// repairTimes makes jobs due if their last attempt is in the future. This happens after
// the clock was set back. Without the repair, these jobs would wait until the clock
// reaches the old times again. A job in the state "available" is always due. The
// statement uses the clock of SQLite, because the library River also uses this clock.
const repairTimes = "UPDATE river_job SET scheduled_at = datetime('now', 'subsec') WHERE scheduled_at > datetime('now', 'subsec')" +
	" AND (state = 'available' OR state IN ('retryable', 'scheduled') AND attempted_at > datetime('now', 'subsec'))"

// Queue inserts and runs jobs. Before the caller calls Start, it must call Add with a
// worker for each kind of job. A Queue without workers does not start, and uses no
// resources. Insert is safe for concurrent use.
type Queue struct {
	config  Config
	workers *river.Workers
	kinds   int
	// client is nil until Start creates it.
	client client
	// repair executes repairTimes. It is nil if the database uses a different clock than
	// this server.
	repair func(context.Context) error
	// stop ends the goroutine that calls the function "repair" periodically.
	stop context.CancelFunc

	mu sync.Mutex
	// running is true if the client runs jobs. closed is true after a call of Close.
	running, closed bool
}

// client contains the methods of river.Client that do not depend on the database.
type client interface {
	Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// New returns a Queue without workers.
func New(c Config) *Queue {
	if c.MaxWorkers == 0 {
		c.MaxWorkers = 4 * runtime.NumCPU()
	}
	return &Queue{config: c, workers: river.NewWorkers()}
}

// Add adds the worker for one kind of job. A worker may receive the same job twice. This
// happens if the server is killed after the job has ended and before the result is
// stored.
func Add[T river.JobArgs](q *Queue, w river.Worker[T]) {
	river.AddWorker(q.workers, w)
	q.kinds++
}

// Start creates or updates the tables of the library River. Then it runs jobs until the
// caller calls Close. The driver comes from the method Jobs of a store. If the Queue has
// no workers, Start does nothing.
func Start[TTx any](ctx context.Context, q *Queue, driver riverdriver.Driver[TTx]) error {
	if q.kinds == 0 {
		return nil
	}
	if err := start(ctx, q, driver); err != nil {
		return fmt.Errorf("jobqueue: start: %w", err)
	}
	return nil
}

func start[TTx any](ctx context.Context, q *Queue, driver riverdriver.Driver[TTx]) error {
	// When the library River starts, it logs each step at the level info. Operators do
	// not need these messages.
	logger := slog.New(warnings{q.config.Logger.Handler()})
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	unfinished := true
	if q.config.Sole {
		// Make interrupted jobs available again. Otherwise River would repeat them only
		// after the time rescueAfter.
		if err := driver.GetExecutor().Exec(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running'"); err != nil {
			return err
		}
		if driver.DatabaseName() == riverdriver.DatabaseNameSQLite {
			q.repair = func(ctx context.Context) error { return driver.GetExecutor().Exec(ctx, repairTimes) }
			// River elects one server as the leader and stores the leader in a row. If
			// the leader is killed, the row remains. If the clock is then set back, the
			// row prevents a new election for a long time. Therefore delete the row.
			if err := driver.GetExecutor().Exec(ctx, "DELETE FROM river_leader"); err != nil {
				return err
			}
		}
		const query = "SELECT EXISTS (SELECT 1 FROM river_job WHERE state NOT IN ('cancelled', 'completed', 'discarded'))"
		if err := driver.GetExecutor().QueryRow(ctx, query).Scan(&unfinished); err != nil {
			return err
		}
	}
	c, err := river.NewClient(driver, &river.Config{
		Logger: logger, Workers: q.workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.config.MaxWorkers}},
		JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter, SoftStopTimeout: stopTimeout,
	})
	if err != nil {
		return err
	}
	q.client = c
	if unfinished {
		return q.run(ctx)
	}
	return nil
}

// run makes the client run jobs. It does nothing if the client already runs jobs or if
// Close was called.
func (q *Queue) run(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.running {
		return nil
	}
	// Jobs must end when Close is called, but not when ctx ends.
	ctx = context.WithoutCancel(ctx)
	if err := q.client.Start(ctx); err != nil {
		return err
	}
	q.running = true
	if q.repair != nil {
		ctx, q.stop = context.WithCancel(ctx)
		go q.repairPeriodically(ctx)
	}
	return nil
}

// repairPeriodically calls the function "repair" until ctx ends.
func (q *Queue) repairPeriodically(ctx context.Context) {
	ticker := time.NewTicker(repairInterval)
	defer ticker.Stop()
	for {
		if err := q.repair(ctx); err != nil && ctx.Err() == nil {
			q.config.Logger.WarnContext(ctx, "could not correct the times of background jobs", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// errNotStarted is the error of Insert if the Queue has not started.
var errNotStarted = errors.New("jobqueue: not started, or without workers")

// Insert stores a job. When Insert returns nil, the job is durable. A free worker starts
// the job immediately. If Close was called, the job starts only after the next start of
// the server.
func (q *Queue) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if q.client == nil {
		return errNotStarted
	}
	if _, err := q.client.Insert(ctx, args, opts); err != nil {
		return fmt.Errorf("jobqueue: insert a job of the kind %s: %w", args.Kind(), err)
	}
	return q.run(ctx)
}

// Close waits a few seconds until running jobs end. Then Close cancels the jobs that are
// still running. A canceled job runs again after the next start of the server.
func (q *Queue) Close() error {
	q.mu.Lock()
	running := q.running
	q.closed, q.running = true, false
	if q.stop != nil {
		q.stop()
	}
	q.mu.Unlock()
	if !running {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopTimeout)
	defer cancel()
	if err := q.client.Stop(ctx); err != nil {
		return fmt.Errorf("jobqueue: stop: %w", err)
	}
	return nil
}

// warnings is a log handler that discards messages below the level warn.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
