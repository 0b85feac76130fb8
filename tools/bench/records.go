package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// submitters is the number of clients that start asynchronous runs at the same time.
const submitters = 64

// recordPage is the path of the list of the latest 50 runs.
const recordPage = "/api/v1/executions?limit=50"

// measureRecords measures how fast a server accepts asynchronous runs. It also measures
// how fast the server lists runs if there are many records.
func (b *bench) measureRecords(ctx context.Context) error {
	data := filepath.Join(filepath.Dir(b.warmData), "records")
	image, err := findImage(b.warmData)
	if err != nil {
		return err
	}
	if err := linkImage(image, data); err != nil {
		return err
	}
	var tenant *account
	// Let the server run only one program at a time. Then most of the processor time is
	// left for accepting new runs.
	flags := []string{"--warm=1", "--warm-node=0", "--max-running=1", "--max-async-per-user=1000000"}
	if err := b.serve(ctx, data, flags, func(s *server) (err error) {
		if tenant, err = s.register(ctx); err != nil {
			return err
		}
		n := b.plan.loadRounds
		return alternate(ctx, n, b.progress.rounds("Asynchronous runs", n),
			subject{b.results.submitted, withRest(repeatN(100, tenant.submit))},
			subject{b.results.submissions, withRest(closedLoop(submitters, b.plan.load, tenant.submit))},
		)
	}); err != nil {
		return err
	}
	b.progress.step(fmt.Sprintf("Writing %d records of runs", b.plan.records))
	if err := fillRecords(ctx, data, tenant, b.plan.records); err != nil {
		return err
	}
	b.results.records = b.plan.records
	// This server executes at most one of the queued runs at a time, so that most of the
	// processor time is left for the requests.
	return b.serve(ctx, data, append(coldFlags(), "--max-running=1"), func(s *server) error {
		again := &account{api: s.api, id: tenant.id, key: tenant.key}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("Pages of runs", n),
			subject{b.results.recordPage, repeatN(100, again.get(recordPage))},
			subject{b.results.rareRecords, repeatN(100, again.get(recordPage+"&label=rare"))})
	})
}

// submit starts an asynchronous run of the usual program, print(42).
func (a *account) submit(ctx context.Context) (time.Duration, error) {
	return a.callWith(ctx, http.Header{"Prefer": {"respond-async"}}, http.MethodPost, "/api/v1/execute", map[string]any{"code": program}, http.StatusAccepted, nil)
}

// fillRecords adds n records of ended runs to the database of a stopped server. One of
// every 100,000 records has the label "rare".
func fillRecords(ctx context.Context, data string, tenant *account, n int) (err error) {
	store, err := sqlite.Open(ctx, filepath.Join(data, "pyth-on.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	const batch = 1000
	first := time.Now().Add(-time.Hour)
	for i := 0; i < n; i += batch {
		records := make([]*pyth.SealedExecution, min(batch, n-i))
		for j := range records {
			at := first.Add(time.Duration(i+j) * time.Millisecond)
			r := &pyth.SealedExecution{ExecutionRecord: pyth.ExecutionRecord{
				ID: pyth.NewExecutionID(at), User: pyth.UserID(tenant.id), State: pyth.StateEnded, Language: pyth.Python,
				StartedAt: at, EndedAt: at.Add(time.Millisecond), Status: pyth.StatusSucceeded, ExitCode: new(int), Content: pyth.ContentExpired,
			}}
			if (i+j)%100_000 == 0 {
				r.Labels = []string{"rare"}
			}
			records[j] = r
		}
		if err := store.PutExecutions(ctx, records); err != nil {
			return err
		}
	}
	return nil
}
