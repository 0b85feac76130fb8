package runs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/runs"
)

func TestExecuteStoresTheRecordAfterTheAnswer(t *testing.T) {
	h := newHarness(t, print42)
	ctx := pyth.WithOrigin(t.Context(), &pyth.Origin{KeyID: "key_ada"})
	e, err := h.Execute(ctx, "ada", &pyth.Program{Code: "print(42)", Labels: []string{"nightly"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if h.inStore(t, e.ID) {
		t.Error("the record was stored before the answer")
	}
	before := h.get(t, e.ID)
	all := h.list(t, pyth.ExecutionFilter{Label: "nightly"})
	if !h.inStore(t, e.ID) || len(all) != 1 {
		t.Fatalf("the list has %d records", len(all))
	}
	after := h.get(t, e.ID)
	if diff := cmp.Diff(before, after, cmp.Transformer("micro", func(t time.Time) int64 { return t.UnixMicro() })); diff != "" {
		t.Errorf("before the record was stored (-), and after (+):\n%s", diff)
	}
	zero := 0
	want := pyth.ExecutionRecord{
		ID: e.ID, User: "ada", State: pyth.StateEnded, Language: pyth.Python, Labels: []string{"nightly"}, CreatedAt: e.ID.CreatedAt(),
		Key: "key_ada", StartedAt: after.StartedAt, EndedAt: after.EndedAt, Status: pyth.StatusSucceeded, ExitCode: &zero,
		Usage: pyth.Usage{Wall: time.Second}, NetworkBytes: 5, Content: pyth.ContentStored,
	}
	if diff := cmp.Diff(want, after.ExecutionRecord); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if after.Code != "print(42)" || string(after.Outcome.Stdout) != "42\n" || len(after.Outcome.Usage.Network) != 1 {
		t.Errorf("got %q, %+v", after.Code, after.Outcome)
	}
	if !e.CreatedAt.Equal(after.CreatedAt) || after.StartedAt.IsZero() || after.EndedAt.Before(after.StartedAt) {
		t.Errorf("created %v and %v, started %v, ended %v", e.CreatedAt, after.CreatedAt, after.StartedAt, after.EndedAt)
	}
	_, err = h.Execution(t.Context(), "bob", e.ID, 0)
	wantCode(t, err, pyth.CodeNotFound)
}

func TestExecuteStoresNoContentIfDisabled(t *testing.T) {
	for name, c := range map[string]struct {
		program  pyth.Program
		disabled bool
	}{
		"by the request":       {pyth.Program{Code: "canary", NoStore: true}, false},
		"by the setting":       {pyth.Program{Code: "canary"}, true},
		"by a password":        {pyth.Program{Encrypted: &pyth.EncryptedJob{Name: "report"}}, false},
		"by a request to both": {pyth.Program{Code: "canary", NoStore: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(ctx context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
				if events != nil {
					_ = events.Output(pyth.Stdout, []byte("canary"))
				}
				return finished(p, "canary"), nil
			}, func(c2 *runs.Config) { c2.StoreContent = !c.disabled })
			e := h.run(t, &c.program)
			if _, err := h.Execute(t.Context(), "ada", &c.program, new(receiver)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // Before and after the record is stored.
				r := h.get(t, e.ID)
				if r.Code != "" || r.Outcome != nil || r.Content != pyth.ContentNone || r.Status != pyth.StatusSucceeded {
					t.Errorf("got %+v", r)
				}
				if c.program.Encrypted != nil && r.Encrypted != "report" {
					t.Errorf("the encrypted program is %q", r.Encrypted)
				}
				h.list(t, pyth.ExecutionFilter{})
			}
			stored, err := h.store.SealedExecution(t.Context(), "ada", e.ID)
			if err != nil || stored.Sealed != nil {
				t.Errorf("the store has content, or %v", err)
			}
		})
	}
}

func TestExecuteSealsContent(t *testing.T) {
	const canary = "canary-5f3a"
	h := newHarness(t, func(_ context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		e := finished(p, canary)
		e.Stderr, e.Files = []byte(canary), []pyth.File{{Path: canary, Content: []byte(canary)}}
		e.Results = []pyth.Result{{"text/plain": canary}}
		e.Error = &pyth.ProgramError{Message: canary}
		return e, nil
	})
	a, b := h.run(t, &pyth.Program{Code: canary}), h.run(t, &pyth.Program{Code: canary + "2"})
	h.list(t, pyth.ExecutionFilter{})
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(h.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("the file db%s contains the output in clear", suffix)
		}
	}
	if r := h.get(t, a.ID); r.Code != canary || string(r.Outcome.Files[0].Content) != canary || r.Outcome.Results[0]["text/plain"] != canary {
		t.Errorf("got %+v", r)
	}
	// Content of one run cannot be decrypted as the content of another run.
	moved, err := h.store.SealedExecution(t.Context(), "ada", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	moved.ID = pyth.NewExecutionID(time.Now())
	if err := h.store.Store.PutExecutions(t.Context(), []*pyth.SealedExecution{moved}); err != nil {
		t.Fatal(err)
	}
	if r, err := h.Execution(t.Context(), "ada", moved.ID, 0); err == nil {
		t.Errorf("moved content was decrypted: %+v", r)
	}
	if r := h.get(t, b.ID); r.Code != canary+"2" {
		t.Errorf("got %q", r.Code)
	}
}

func TestExecuteOmitsContentWithoutMemory(t *testing.T) {
	big := strings.Repeat("x", 1000)
	h := newHarness(t, func(_ context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		if events == nil {
			return finished(p, big), nil
		}
		for range 10 {
			_ = events.Output(pyth.Stderr, []byte(big[:100]))
		}
		return finished(p, ""), nil
	}, func(c *runs.Config) { c.MaxContentBytes = 1500 })
	for range 3 { // The memory is free again after the records are stored.
		first, second := h.run(t, &pyth.Program{Code: "a"}), h.run(t, &pyth.Program{Code: "b"})
		if _, err := h.Execute(t.Context(), "ada", &pyth.Program{Code: "c"}, new(receiver)); err != nil {
			t.Fatal(err)
		}
		h.list(t, pyth.ExecutionFilter{})
		if r := h.get(t, first.ID); r.Content != pyth.ContentStored || len(r.Outcome.Stdout) != 1000 {
			t.Errorf("got %+v", r)
		}
		if r := h.get(t, second.ID); r.Content != pyth.ContentOmitted || r.Outcome != nil || r.Code != "" {
			t.Errorf("got %+v", r)
		}
	}
}

// The receiver counts the events of a run.
type receiver struct{ started, output, results, files int }

func (r *receiver) Started(pyth.ExecutionID) error { r.started++; return nil }
func (r *receiver) Output(_ pyth.Stream, b []byte) error {
	clear(b) // The receiver owns the bytes.
	r.output++
	return nil
}
func (r *receiver) Result(pyth.Result) error { r.results++; return nil }
func (r *receiver) File(pyth.File) error     { r.files++; return nil }

func TestExecuteKeepsTheOutputOfAStream(t *testing.T) {
	h := newHarness(t, func(_ context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		_ = events.Started(p.ID)
		_ = events.Output(pyth.Stdout, []byte("one "))
		_ = events.Output(pyth.Stderr, []byte("warning"))
		_ = events.Output(pyth.Stdout, []byte("two"))
		_ = events.Result(pyth.Result{"text/plain": "3"})
		_ = events.File(pyth.File{Path: "a"})
		e := finished(p, "")
		e.Results, e.Files = []pyth.Result{{"text/plain": "3"}}, []pyth.File{{Path: "a"}}
		return e, nil
	})
	r := new(receiver)
	e, err := h.Execute(t.Context(), "ada", &pyth.Program{Code: "x"}, r)
	if err != nil || *r != (receiver{1, 3, 1, 1}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if len(e.Stdout) > 0 {
		t.Error("the result of a streamed run contains output")
	}
	for range 2 {
		if got := h.get(t, e.ID); string(got.Outcome.Stdout) != "one two" || string(got.Outcome.Stderr) != "warning" || len(got.Outcome.Results) != 1 {
			t.Errorf("got %+v", got.Outcome)
		}
		h.list(t, pyth.ExecutionFilter{})
	}
}

func TestCancelExecutionEndsARun(t *testing.T) {
	started := make(chan pyth.ExecutionID)
	h := newHarness(t, untilCanceled(started))
	result := make(chan *pyth.Execution)
	go func() {
		e, err := h.Execute(t.Context(), "ada", &pyth.Program{}, nil)
		if err != nil {
			t.Error(err)
		}
		result <- e
	}()
	id := <-started
	if r := h.get(t, id); r.State != pyth.StateRunning || r.StartedAt.IsZero() || !r.EndedAt.IsZero() {
		t.Errorf("got %+v", r)
	}
	if all := h.list(t, pyth.ExecutionFilter{State: pyth.StateRunning}); len(all) != 1 || all[0].ID != id {
		t.Errorf("the list has %d running programs", len(all))
	}
	wantCode(t, h.DeleteExecution(t.Context(), "ada", id), pyth.CodeConflict)
	_, err := h.CancelExecution(t.Context(), "bob", id)
	wantCode(t, err, pyth.CodeNotFound)
	if _, err := h.CancelExecution(t.Context(), "ada", id); err != nil {
		t.Fatal(err)
	}
	if e := <-result; e.Status != pyth.StatusCanceled {
		t.Errorf("the run ended as %s", e.Status)
	}
	r, err := h.CancelExecution(t.Context(), "ada", id) // Nothing changes.
	if err != nil || r.State != pyth.StateEnded || r.Status != pyth.StatusCanceled {
		t.Errorf("%+v, %v", r, err)
	}
	if err := h.DeleteExecution(t.Context(), "ada", id); err != nil {
		t.Error(err)
	}
	_, err = h.Execution(t.Context(), "ada", id, 0)
	wantCode(t, err, pyth.CodeNotFound)
	wantCode(t, h.DeleteExecution(t.Context(), "ada", id), pyth.CodeNotFound)
	_, err = h.CancelExecution(t.Context(), "ada", id)
	wantCode(t, err, pyth.CodeNotFound)
}

func TestEndUserEndsAllRunsOfTheUser(t *testing.T) {
	started := make(chan pyth.ExecutionID)
	h := newHarness(t, untilCanceled(started))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := map[pyth.UserID]chan *pyth.Execution{"ada": make(chan *pyth.Execution, 2), "bob": make(chan *pyth.Execution, 1)}
	for _, user := range []pyth.UserID{"ada", "ada", "bob"} {
		go func() {
			e, err := h.Execute(ctx, user, &pyth.Program{}, nil)
			if err != nil {
				t.Error(err)
			}
			ended[user] <- e
		}()
		<-started
	}
	queued := pyth.NewExecutionID(time.Now())
	errs, err := h.store.EnqueueExecutions(t.Context(), []*pyth.QueuedExecution{{
		ExecutionRecord: pyth.ExecutionRecord{
			ID: queued, User: "ada", State: pyth.StateQueued, Language: pyth.Python, CreatedAt: queued.CreatedAt(), Content: pyth.ContentNone, Async: true,
		},
		Request: []byte("sealed"),
	}}, pyth.QueueLimits{Runs: 10, Bytes: 100})
	if err != nil || errs[0] != nil {
		t.Fatal(err, errs)
	}
	if err := h.EndUser(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if e := <-ended["ada"]; e.Status != pyth.StatusCanceled {
			t.Errorf("the run ended as %s", e.Status)
		}
	}
	for _, r := range h.list(t, pyth.ExecutionFilter{}) {
		if r.State != pyth.StateEnded || r.Status != pyth.StatusCanceled {
			t.Errorf("the run %s has the state %s and the status %s", r.ID, r.State, r.Status)
		}
	}
	if all, err := h.Executions(t.Context(), "bob", pyth.ExecutionFilter{State: pyth.StateRunning}, "", 10); err != nil || len(all) != 1 {
		t.Errorf("bob has %d running programs, error %v", len(all), err)
	}
	cancel()
	<-ended["bob"]
}

// TestCancelExecutionOfAWaitingRun cancels a run that is waiting for its session. In
// this case, the ExecutionService returns an error when the context ends.
func TestCancelExecutionOfAWaitingRun(t *testing.T) {
	waiting := make(chan pyth.ExecutionID)
	h := newHarness(t, func(ctx context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		waiting <- p.ID
		<-ctx.Done()
		return nil, ctx.Err()
	})
	result := make(chan *pyth.Execution)
	go func() {
		e, err := h.Execute(t.Context(), "ada", &pyth.Program{Session: "ses_1", Labels: []string{"a"}, Language: "unchecked"}, nil)
		if err != nil {
			t.Error(err)
		}
		result <- e
	}()
	id := <-waiting
	if r := h.get(t, id); r.State != pyth.StateQueued {
		t.Errorf("the state is %s", r.State)
	}
	if _, err := h.CancelExecution(t.Context(), "ada", id); err != nil {
		t.Fatal(err)
	}
	if e := <-result; e.ID != id || e.Status != pyth.StatusCanceled || e.Session != "ses_1" || len(e.Labels) != 1 || e.Language != pyth.Python {
		t.Errorf("got %+v", e)
	}
}

func TestExecuteLeavesNoRecordOfARefusedRun(t *testing.T) {
	var h *harness
	h = newHarness(t, func(_ context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		if p.Session != "" {
			// The request for the list of runs stores the record before the run is
			// refused.
			if all := h.list(t, pyth.ExecutionFilter{}); len(all) != 1 || all[0].State != pyth.StateQueued {
				t.Errorf("got %+v", all)
			}
		}
		return nil, pyth.Errorf(pyth.CodeOverloaded, "full")
	})
	for _, session := range []pyth.SessionID{"", "ses_1"} {
		_, err := h.Execute(t.Context(), "ada", &pyth.Program{Session: session}, new(receiver))
		wantCode(t, err, pyth.CodeOverloaded)
		if all := h.list(t, pyth.ExecutionFilter{}); len(all) != 0 {
			t.Errorf("got %+v", all)
		}
	}
}

func TestExecutionWaitsForTheEnd(t *testing.T) {
	started := make(chan pyth.ExecutionID)
	release := make(chan struct{})
	h := newHarness(t, func(_ context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		p.Started()
		started <- p.ID
		<-release
		return finished(p, "42\n"), nil
	})
	go func() { _, _ = h.Execute(t.Context(), "ada", &pyth.Program{}, nil) }()
	id := <-started
	short, err := h.Execution(t.Context(), "ada", id, time.Millisecond)
	if err != nil || short.State != pyth.StateRunning {
		t.Errorf("%+v, %v", short, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := h.Execution(gone, "ada", id, time.Hour); err != nil || r.State != pyth.StateRunning {
		t.Errorf("%+v, %v", r, err)
	}
	got := make(chan *pyth.RecordedExecution)
	go func() {
		r, err := h.Execution(t.Context(), "ada", id, time.Hour)
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	close(release)
	if r := <-got; r.State != pyth.StateEnded || string(r.Outcome.Stdout) != "42\n" {
		t.Errorf("got %+v", r)
	}
}

// TestExecutionWaitsForARunOfAnotherServer checks that Execution waits for a run of
// another server. Execution must return the run when the stored record says that the run
// has ended.
func TestExecutionWaitsForARunOfAnotherServer(t *testing.T) {
	h := newHarness(t, print42)
	r := pyth.ExecutionRecord{ID: pyth.NewExecutionID(time.Now()), User: "ada", State: pyth.StateRunning, Language: pyth.Python, Content: pyth.ContentNone}
	put := func() {
		if err := h.store.Store.PutExecutions(t.Context(), []*pyth.SealedExecution{{ExecutionRecord: r}}); err != nil {
			t.Error(err)
		}
	}
	put()
	got := make(chan *pyth.RecordedExecution)
	go func() {
		r, err := h.Execution(t.Context(), "ada", r.ID, time.Hour)
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	r.State, r.Status = pyth.StateEnded, pyth.StatusSucceeded
	put()
	if r := <-got; r.State != pyth.StateEnded {
		t.Errorf("got %+v", r)
	}
}

func TestRecoverCompletesLostRuns(t *testing.T) {
	started := make(chan pyth.ExecutionID)
	h := newHarness(t, untilCanceled(started))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = h.Execute(ctx, "ada", &pyth.Program{Code: "x"}, nil) }()
	id := <-started
	// StoreLive stores only runs that have lasted longer than the given time.
	if err := h.StoreLive(t.Context(), time.Hour); err != nil || h.inStore(t, id) {
		t.Errorf("a run was stored too early, or %v", err)
	}
	if err := h.StoreLive(t.Context(), -time.Hour); err != nil || !h.inStore(t, id) {
		t.Errorf("the run is not stored, or %v", err)
	}
	// The clock was a day ahead when this run was created.
	tomorrow := time.Now().AddDate(0, 0, 1)
	queued := pyth.ExecutionRecord{ID: pyth.NewExecutionID(tomorrow), CreatedAt: tomorrow, User: "ada", State: pyth.StateQueued, Language: pyth.Python}
	if err := h.store.Store.PutExecutions(t.Context(), []*pyth.SealedExecution{{ExecutionRecord: queued}}); err != nil {
		t.Fatal(err)
	}
	// The variable "next" is another service that uses the same store. The run is not
	// live in this service.
	next := h.service(print42)
	defer next.Close()
	// Runs that were created at this time or later may still be live on another server,
	// so Recover must not change them.
	if n, err := next.Recover(t.Context(), id.CreatedAt()); n != 0 || err != nil {
		t.Errorf("%d runs, %v", n, err)
	}
	if n, err := next.Recover(t.Context(), time.Time{}); n != 2 || err != nil {
		t.Errorf("%d runs, %v", n, err)
	}
	r, err := next.Execution(t.Context(), "ada", id, 0)
	if err != nil || r.State != pyth.StateEnded || r.Status != pyth.StatusKilled || r.Reason != pyth.ReasonWorkerLost || r.EndedAt.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = next.Execution(t.Context(), "ada", queued.ID, 0)
	if err != nil || r.Status != pyth.StatusCanceled || r.Reason != pyth.ReasonWorkerLost {
		t.Errorf("%+v, %v", r, err)
	}
	cancel()
	<-done
	// The record says that the run was killed. The real end of the run must not change
	// the record.
	h.list(t, pyth.ExecutionFilter{})
	if r, err := next.Execution(t.Context(), "ada", id, 0); err != nil || r.Status != pyth.StatusKilled {
		t.Errorf("%+v, %v", r, err)
	}
	if n, err := next.Recover(t.Context(), time.Now().Add(time.Second)); n != 0 || err != nil {
		t.Errorf("%d runs, %v", n, err)
	}
}

func TestPruneDeletesContentBeforeRecords(t *testing.T) {
	h := newHarness(t, print42)
	for range 250 { // More records than one transaction deletes.
		h.run(t, &pyth.Program{Code: "x"})
	}
	all := h.list(t, pyth.ExecutionFilter{})
	future := time.Now().Add(time.Hour)
	if err := h.Prune(t.Context(), time.Now().Add(-time.Hour), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if r := h.get(t, all[0].ID); r.Content != pyth.ContentStored || r.Outcome == nil {
		t.Errorf("got %+v", r)
	}
	if err := h.Prune(t.Context(), future, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.list(t, pyth.ExecutionFilter{}) {
		if r.Content != pyth.ContentExpired {
			t.Fatalf("got %+v", r)
		}
	}
	if r := h.get(t, all[0].ID); r.Outcome != nil || r.Code != "" || r.Status != pyth.StatusSucceeded {
		t.Errorf("got %+v", r)
	}
	if err := h.Prune(t.Context(), future, future); err != nil {
		t.Fatal(err)
	}
	if left := h.list(t, pyth.ExecutionFilter{}); len(left) != 0 {
		t.Errorf("%d records are left", len(left))
	}
}

func TestWriterTriesAgain(t *testing.T) {
	h := newHarness(t, print42, func(c *runs.Config) { c.WriteDelay = time.Nanosecond })
	h.store.fail(&pyth.Error{Code: pyth.CodeUnavailable, Err: errors.New("disk full")})
	e := h.run(t, &pyth.Program{Code: "x"})
	<-h.store.called
	h.store.fail(nil)
	if h.list(t, pyth.ExecutionFilter{}); !h.inStore(t, e.ID) {
		t.Error("the record was not stored")
	}
	if r := h.get(t, e.ID); r.Outcome == nil {
		t.Errorf("got %+v", r)
	}
}

func TestWriterDropsWhatCannotBeStored(t *testing.T) {
	h := newHarness(t, print42)
	h.store.fail(errors.New("defect"))
	lost := h.run(t, &pyth.Program{Code: "x"})
	h.list(t, pyth.ExecutionFilter{}) // The call waits until the writer has given up.
	h.store.fail(nil)
	kept := h.run(t, &pyth.Program{Code: "x"})
	h.list(t, pyth.ExecutionFilter{})
	if h.inStore(t, lost.ID) || !h.inStore(t, kept.ID) {
		t.Error("the wrong record was dropped")
	}
}

func TestExecuteWaitsForAFullQueue(t *testing.T) {
	h := newHarness(t, print42, func(c *runs.Config) { c.MaxWaiting = 2 })
	unavailable := &pyth.Error{Code: pyth.CodeUnavailable}
	h.store.fail(unavailable)
	// The writer takes the first two records and cannot store them. The other two
	// records wait in the queue.
	var ids []pyth.ExecutionID
	for range 4 {
		ids = append(ids, h.run(t, &pyth.Program{}).ID)
	}
	ended := make(chan pyth.ExecutionID)
	go func() {
		e, err := h.Execute(t.Context(), "ada", &pyth.Program{}, nil)
		if err != nil {
			t.Error(err)
		}
		ended <- e.ID
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The context of this caller has ended, so the call does not wait for a place in the
	// queue. The record of the run is lost, but the caller gets the result.
	if _, err := h.Execute(ctx, "ada", &pyth.Program{}, nil); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
		t.Error("a run ended although the queue was full")
	default:
	}
	h.store.fail(nil)
	ids = append(ids, <-ended)
	h.list(t, pyth.ExecutionFilter{})
	for _, id := range ids {
		if !h.inStore(t, id) {
			t.Errorf("%s has no record", id)
		}
	}
}

func TestCloseStoresWaitingRecords(t *testing.T) {
	h := newHarness(t, print42)
	e := h.run(t, &pyth.Program{Code: "x"})
	h.Close()
	if !h.inStore(t, e.ID) {
		t.Error("Close lost a record")
	}
	late := h.run(t, &pyth.Program{Code: "x"})
	if h.inStore(t, late.ID) {
		t.Error("a record was stored after Close")
	}
}

// TestContentFormat checks that the server can read content in the format of the first
// version. Updates of the server must not make stored content unreadable.
func TestContentFormat(t *testing.T) {
	h := newHarness(t, print42)
	const first = `{"code":"x","outcome":{"Status":"failed","ExitCode":1,"Signal":"s","Stdout":"bw==","Stderr":"ZQ==","StdoutTruncated":true,"StderrTruncated":true,` +
		`"Error":{"Name":"E","Message":"m","Traceback":"t","Hint":"h","Line":3},"Results":[{"text/plain":"r"}],"ResultsTruncated":true,` +
		`"ResultsSkipped":[{"MediaType":"a","Reason":"b"}],"Files":[{"Path":"p","Content":"Yw=="}],"FilesSkipped":[{"Path":"p","Reason":"r"}],` +
		`"SessionEnded":true,"Redactions":4,"Usage":{"Wall":1,"CPU":2,"MemoryPeakBytes":3,"Queued":4,` +
		`"Network":[{"Host":"h","Port":1,"SentBytes":2,"ReceivedBytes":3,"Verdict":"v","Reason":"r","Count":4}]}},"events":[{"k":"o","n":1}]}`
	id := pyth.NewExecutionID(time.Now())
	sealed, err := h.vault.Seal(t.Context(), "ada", runs.Label(id), []byte(first))
	if err != nil {
		t.Fatal(err)
	}
	r := &pyth.SealedExecution{ExecutionRecord: pyth.ExecutionRecord{ID: id, User: "ada", State: pyth.StateEnded, Content: pyth.ContentStored}, Sealed: sealed}
	if err := h.store.Store.PutExecutions(t.Context(), []*pyth.SealedExecution{r}); err != nil {
		t.Fatal(err)
	}
	one := 1
	want := &pyth.Outcome{
		Status: pyth.StatusFailed, ExitCode: &one, Signal: "s", Stdout: []byte("o"), Stderr: []byte("e"), StdoutTruncated: true, StderrTruncated: true,
		Error:   &pyth.ProgramError{Name: "E", Message: "m", Traceback: "t", Hint: "h", Line: 3},
		Results: []pyth.Result{{"text/plain": "r"}}, ResultsTruncated: true, ResultsSkipped: []pyth.SkippedResult{{MediaType: "a", Reason: "b"}},
		Files: []pyth.File{{Path: "p", Content: []byte("c")}}, FilesSkipped: []pyth.SkippedFile{{Path: "p", Reason: "r"}},
		SessionEnded: true, Redactions: 4,
		Usage: pyth.Usage{Wall: 1, CPU: 2, MemoryPeakBytes: 3, Queued: 4, Network: []pyth.Connection{
			{Host: "h", Port: 1, SentBytes: 2, ReceivedBytes: 3, Verdict: "v", Reason: "r", Count: 4},
		}},
	}
	got := h.get(t, id)
	if diff := cmp.Diff(want, got.Outcome); diff != "" || got.Code != "x" {
		t.Errorf("%q, want (-), got (+):\n%s", got.Code, diff)
	}
}
