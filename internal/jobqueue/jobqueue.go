// Package jobqueue runs durable background jobs, for example deliveries that are tried
// again for hours. Jobs are rows in the server's database, and River runs them.
//
// The owner of a job keeps its own data. The arguments of a job contain only the ID
// of this data, because River stores arguments in plain text.
package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// Config configures a Queue.
type Config struct {
	Logger *slog.Logger
	// Sole reports that no other server uses the database. Then all jobs that are
	// running at the start were interrupted, and run again at once.
	Sole bool
	// MaxWorkers is the maximum number of jobs that run at the same time; 0 means four
	// for each processor.
	MaxWorkers int
}

// Times of a Queue.
const (
	// jobTimeout is the time-out of one attempt of a job.
	jobTimeout = time.Minute
	// rescueAfter is the time after which another server repeats the attempt of a server
	// that was lost.
	rescueAfter = 2 * jobTimeout
	// stopTimeout is the time that running jobs get to end when the server stops.
	stopTimeout = 5 * time.Second
)

// Queue inserts and runs jobs. Before Start, the caller adds a worker for each kind of
// job with Add. A Queue without workers does not start, and uses no resources. Insert
// is safe for concurrent use.
type Queue struct {
	config  Config
	workers *river.Workers
	kinds   int
	// client is nil until Start.
	client client
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

// Add adds the worker for one kind of jobs. A worker may see a job more than once,
// because its server can be killed before River has stored the result.
func Add[T river.JobArgs](q *Queue, w river.Worker[T]) {
	river.AddWorker(q.workers, w)
	q.kinds++
}

// Start migrates River's tables and runs jobs until Close. The driver belongs to the
// store. If the Queue has no workers, Start does nothing.
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
	// River logs each step of its start at the level info.
	logger := slog.New(warnings{q.config.Logger.Handler()})
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	if q.config.Sole {
		// River itself would repeat them only after rescueAfter.
		if err := driver.GetExecutor().Exec(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running'"); err != nil {
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
	// Jobs must not end with ctx, but when Close is called.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	q.client = c
	return nil
}

// errNotStarted is the error of Insert before Start.
var errNotStarted = errors.New("jobqueue: not started, or without workers")

// Insert stores a job. The job is durable when Insert returns nil, and a free worker
// starts it at once.
func (q *Queue) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if q.client == nil {
		return errNotStarted
	}
	if _, err := q.client.Insert(ctx, args, opts); err != nil {
		return fmt.Errorf("jobqueue: insert a job of the kind %s: %w", args.Kind(), err)
	}
	return nil
}

// Close waits until running jobs have ended, and cancels them after some seconds.
// Jobs that were canceled run again after the next start.
func (q *Queue) Close() error {
	if q.client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopTimeout)
	defer cancel()
	if err := q.client.Stop(ctx); err != nil {
		return fmt.Errorf("jobqueue: stop: %w", err)
	}
	return nil
}

// warnings is a handler that discards messages below the level warn.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
