package runs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/runs"
)

// transcript is a receiver of events that keeps the events as text. After each event, it
// calls a function that the test has set.
type transcript struct {
	lines []string
	after func()
}

func (r *transcript) add(line string) error {
	r.lines = append(r.lines, line)
	if r.after != nil {
		r.after()
	}
	return nil
}

func (r *transcript) Started(pyth.ExecutionID) error { return r.add("start") }
func (r *transcript) Output(name pyth.Stream, b []byte) error {
	line := fmt.Sprintf("%s %s", name, b)
	clear(b) // The receiver owns the bytes.
	return r.add(line)
}
func (r *transcript) Result(v pyth.Result) error { return r.add("result " + v["text/plain"]) }
func (r *transcript) File(f pyth.File) error     { return r.add("file " + f.Path) }

// The function "eventful" returns a run that has all kinds of events. The run calls the
// function "step" before each event.
func eventful(step func()) executions {
	return func(_ context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		p.Started()
		e := finished(p, "")
		e.Results, e.Files = []pyth.Result{{"text/plain": "3"}}, []pyth.File{{Path: "a"}}
		if events == nil {
			e.Stdout, e.Stderr = []byte("one two"), []byte("warning")
			return e, nil
		}
		for _, event := range []func() error{
			func() error { return events.Started(p.ID) },
			func() error { return events.Output(pyth.Stdout, []byte("one ")) },
			func() error { return events.Output(pyth.Stderr, []byte("warning")) },
			func() error { return events.Result(e.Results[0]) },
			func() error { return events.Output(pyth.Stdout, []byte("two")) },
			func() error { return events.File(e.Files[0]) },
		} {
			step()
			if err := event(); err != nil {
				return nil, err
			}
		}
		step()
		return e, nil
	}
}

var (
	streamed = []string{"start", "stdout one ", "stderr warning", "result 3", "stdout two", "file a"}
	whole    = []string{"start", "stdout one two", "stderr warning", "result 3", "file a"}
)

func (h *harness) follow(t *testing.T, id pyth.ExecutionID, to *transcript) *pyth.RecordedExecution {
	t.Helper()
	r, err := h.FollowExecution(t.Context(), "ada", id, to)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFollowExecutionRepeatsTheEvents(t *testing.T) {
	h := newHarness(t, eventful(func() {}))
	for _, c := range []struct {
		events pyth.Events
		want   []string
	}{{&transcript{}, streamed}, {nil, whole}} {
		e, err := h.Execute(t.Context(), "ada", &pyth.Program{Code: "x"}, c.events)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // Before and after the record is stored.
			to := new(transcript)
			r := h.follow(t, e.ID, to)
			if diff := cmp.Diff(c.want, to.lines); diff != "" || r.State != pyth.StateEnded || r.Outcome == nil {
				t.Errorf("%+v, want (-), got (+):\n%s", r, diff)
			}
			h.list(t, pyth.ExecutionFilter{})
		}
		_, err = h.FollowExecution(t.Context(), "bob", e.ID, new(transcript))
		wantCode(t, err, pyth.CodeNotFound)
	}
}

// TestFollowExecutionFollowsALiveRun checks that a follower receives each event before
// the run continues. It also checks that a later follower receives all events.
func TestFollowExecutionFollowsALiveRun(t *testing.T) {
	steps := make(chan struct{})
	ids := make(chan pyth.ExecutionID, 1)
	next := eventful(func() { <-steps })
	h := newHarness(t, func(ctx context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		ids <- p.ID
		return next(ctx, p, events)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := h.Execute(t.Context(), "ada", &pyth.Program{Code: "x"}, new(transcript)); err != nil {
			t.Error(err)
		}
	}()
	id := <-ids
	received := make(chan struct{})
	first, second := &transcript{after: func() { received <- struct{}{} }}, new(transcript)
	ended := make(chan struct{}, 2)
	follow := func(to *transcript) {
		if r, err := h.FollowExecution(t.Context(), "ada", id, to); err != nil || r.State != pyth.StateEnded {
			t.Errorf("%+v, %v", r, err)
		}
		ended <- struct{}{}
	}
	go follow(first)
	<-received // Started does not need a step, because the sandbox has the job.
	steps <- struct{}{}
	for range len(streamed) - 1 {
		steps <- struct{}{}
		<-received
	}
	go follow(second)
	steps <- struct{}{}
	<-done
	<-ended
	<-ended
	for _, to := range []*transcript{first, second} {
		if diff := cmp.Diff(streamed, to.lines); diff != "" {
			t.Errorf("want (-), got (+):\n%s", diff)
		}
	}
}

func TestFollowExecutionWithoutContent(t *testing.T) {
	h := newHarness(t, eventful(func() {}))
	e, err := h.Execute(t.Context(), "ada", &pyth.Program{Code: "x", NoStore: true}, new(transcript))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		to := new(transcript)
		if r := h.follow(t, e.ID, to); len(to.lines) != 1 || r.Outcome != nil || r.Status != pyth.StatusSucceeded {
			t.Errorf("%q, %+v", to.lines, r)
		}
		h.list(t, pyth.ExecutionFilter{})
	}
}

func TestFollowExecutionEndsWithItsContext(t *testing.T) {
	started := make(chan pyth.ExecutionID)
	h := newHarness(t, untilCanceled(started))
	for _, events := range []pyth.Events{nil, new(transcript)} {
		done := make(chan struct{})
		go func() { defer close(done); _, _ = h.Execute(t.Context(), "ada", &pyth.Program{}, events) }()
		id := <-started
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(pyth.Errorf(pyth.CodeDraining, "stopping"))
		_, err := h.FollowExecution(ctx, "ada", id, new(transcript))
		wantCode(t, err, pyth.CodeDraining)
		if _, err := h.CancelExecution(t.Context(), "ada", id); err != nil {
			t.Error(err)
		}
		<-done
	}
}

func TestFollowExecutionReportsMissingMemory(t *testing.T) {
	full := make(chan pyth.ExecutionID)
	release := make(chan struct{})
	h := newHarness(t, func(_ context.Context, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		p.Started()
		_ = events.Output(pyth.Stdout, []byte(strings.Repeat("x", 1000)))
		full <- p.ID
		<-release
		return finished(p, ""), nil
	}, func(c *runs.Config) { c.MaxContentBytes = 500 })
	done := make(chan struct{})
	go func() { defer close(done); _, _ = h.Execute(t.Context(), "ada", &pyth.Program{}, new(transcript)) }()
	id := <-full
	_, err := h.FollowExecution(t.Context(), "ada", id, new(transcript))
	wantCode(t, err, pyth.CodeUnavailable)
	close(release)
	<-done
	if r := h.get(t, id); r.Content != pyth.ContentOmitted {
		t.Errorf("the content is %s", r.Content)
	}
}
