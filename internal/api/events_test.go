package api_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// sendEvents sends events. One output ends with an incomplete character.
func sendEvents(id pyth.ExecutionID, to pyth.Events) error {
	for _, send := range []func() error{
		func() error { return to.Started(id) },
		func() error { return to.Output(pyth.Stdout, []byte("a\xc3")) },
		func() error { return to.Output(pyth.Stderr, []byte("\xc3")) },
		func() error { return to.Output(pyth.Stdout, []byte("\xa9b")) },
		func() error { return to.Result(pyth.Result{"text/plain": "1"}) },
		func() error { return to.File(pyth.File{Path: "f"}) },
	} {
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) FollowExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, to pyth.Events) (*pyth.RecordedExecution, error) {
	e, err := r.find(user, id)
	if err != nil {
		return nil, err
	}
	if err := sendEvents(id, to); err != nil {
		return nil, err
	}
	if r.following != nil {
		if err := r.following(ctx); err != nil {
			return nil, err
		}
	}
	return e, nil
}

const sentEvents = "id: 1\nevent: start\ndata: {\"id\":\"exe_1\"}\n\nid: 2\nevent: stdout\ndata: {\"text\":\"a\"}\n\n" +
	"id: 3\nevent: stdout\ndata: {\"text\":\"éb\"}\n\nid: 4\nevent: result\ndata: {\"text/plain\":\"1\"}\n\n"

func TestRunProgramAsStreamNumbersEvents(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		return succeeded(""), sendEvents("exe_1", events)
	}
	for _, accept := range []string{"", "application/json", "text/event-stream"} {
		r := request("POST", "/api/v1/execute/stream", `{"code":"1"}`)
		r.Header.Set("Accept", accept)
		res := s.send(r)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(res.body, sentEvents) ||
			!strings.Contains(res.body, "id: 6\nevent: stderr\ndata: {\"text\":\"\ufffd\"}\n\nid: 7\nevent: end\ndata: {") {
			t.Errorf("accepting %q: status %d: %s", accept, res.StatusCode, res.body)
		}
	}
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return nil, pyth.Errorf(pyth.CodeOverloaded, "full")
	}
	if res := s.send(request("POST", "/api/v1/execute/stream", `{"code":"1"}`)); res.StatusCode != 503 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestListExecutionEventsResumes(t *testing.T) {
	s, _ := newRecordServer(t)
	get := func(id, last string) answer {
		r := request("GET", "/api/v1/executions/"+id+"/events", "")
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		return s.send(r)
	}
	all := get("exe_1", "")
	if all.StatusCode != 200 || !strings.HasPrefix(all.body, sentEvents) || !strings.Contains(all.body, "event: end") || strings.Contains(all.body, `"stdout":"42`) {
		t.Errorf("status %d: %s", all.StatusCode, all.body)
	}
	for last := range 7 {
		want := all.body[max(0, strings.Index(all.body, "id: "+strconv.Itoa(last+1)+"\n")):]
		if got := get("exe_1", strconv.Itoa(last)); got.StatusCode != 200 || got.body != want {
			t.Errorf("after %d: status %d: %s", last, got.StatusCode, got.body)
		}
	}
	for _, last := range []string{"7", "1000"} {
		if got := get("exe_1", last); got.StatusCode != http.StatusNoContent || got.body != "" {
			t.Errorf("after %s: status %d: %s", last, got.StatusCode, got.body)
		}
	}
	for _, last := range []string{"-1", "x", "1.5"} {
		if got := get("exe_1", last); got.StatusCode != 400 {
			t.Errorf("after %s: status %d: %s", last, got.StatusCode, got.body)
		}
	}
	if got := get("exe_3", ""); got.StatusCode != 404 {
		t.Errorf("status %d: %s", got.StatusCode, got.body)
	}
	// If the content of a run is not stored, the last event still tells the client how
	// the run ended.
	if got := get("exe_2", ""); !strings.Contains(got.body, `"status":"killed"`) || !strings.Contains(got.body, `"signal":"SIGKILL"`) {
		t.Errorf("got %s", got.body)
	}
	// The client may have received more events of this run than the record has.
	if got := get("exe_2", "1000"); !strings.HasPrefix(got.body, "id: 2147483647\nevent: end\n") {
		t.Errorf("status %d: %s", got.StatusCode, got.body)
	}
	if got := get("exe_2", "2147483647"); got.StatusCode != http.StatusNoContent {
		t.Errorf("status %d: %s", got.StatusCode, got.body)
	}
}

func TestListExecutionEventsEndsWhenTheServerStops(t *testing.T) {
	r := newRecords()
	s := newServer(t, func(c *api.Config) { c.Records = r })
	r.following = func(ctx context.Context) error {
		s.handler.Drain()
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if res := s.send(request("GET", "/api/v1/executions/exe_1/events", "")); !strings.Contains(res.body, "event: error\n") || !strings.Contains(res.body, `"code":"draining"`) {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}
