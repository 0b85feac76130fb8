package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// records is a RecordService with fixed records.
type records struct {
	all    []*pyth.RecordedExecution
	filter pyth.ExecutionFilter
	calls  []string
	// The function "waiting" is called while Execution waits.
	waiting func(ctx context.Context, wait time.Duration)
	// The function "following" is called after the events of a run.
	following func(ctx context.Context) error
}

func (r *records) find(user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	for _, e := range r.all {
		if e.User == user && e.ID == id {
			return e, nil
		}
	}
	return nil, pyth.Errorf(pyth.CodeNotFound, "The run does not exist.")
}

func (r *records) Executions(_ context.Context, user pyth.UserID, f pyth.ExecutionFilter, before pyth.ExecutionID, limit int) (page []*pyth.ExecutionRecord, err error) {
	r.filter = f
	for _, e := range r.all {
		if e.User == user && (before == "" || e.ID < before) && len(page) < limit {
			page = append(page, &e.ExecutionRecord)
		}
	}
	return page, nil
}

func (r *records) Execution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, wait time.Duration) (*pyth.RecordedExecution, error) {
	if r.waiting != nil {
		r.waiting(ctx, wait)
	}
	return r.find(user, id)
}

func (r *records) CancelExecution(_ context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	r.calls = append(r.calls, "cancel "+string(id))
	return r.find(user, id)
}

func (r *records) DeleteExecution(_ context.Context, user pyth.UserID, id pyth.ExecutionID) error {
	e, err := r.find(user, id)
	if err == nil && e.State != pyth.StateEnded {
		err = pyth.Errorf(pyth.CodeConflict, "The run has not ended.")
	}
	return err
}

func newRecords() *records {
	one := 1
	return &records{all: []*pyth.RecordedExecution{
		{ExecutionRecord: pyth.ExecutionRecord{ID: "exe_4", User: "usr_ada", State: pyth.StateQueued, Language: pyth.Python, CreatedAt: created, Content: pyth.ContentNone}},
		{ExecutionRecord: pyth.ExecutionRecord{ID: "exe_3", User: "usr_bob", State: pyth.StateEnded}},
		{ExecutionRecord: pyth.ExecutionRecord{
			ID: "exe_2", User: "usr_ada", State: pyth.StateEnded, Language: pyth.Python, CreatedAt: created, EndedAt: created,
			Status: pyth.StatusKilled, Reason: pyth.ReasonWorkerLost, Signal: "SIGKILL", Content: pyth.ContentNone,
		}},
		{
			ExecutionRecord: pyth.ExecutionRecord{
				ID: "exe_1", User: "usr_ada", State: pyth.StateEnded, Language: pyth.Python, CreatedAt: created, StartedAt: created, EndedAt: created,
				Labels: []string{"nightly"}, Session: "ses_1", Key: "key_1", Status: pyth.StatusFailed, ExitCode: &one,
				Usage: pyth.Usage{Wall: 1600 * time.Microsecond}, NetworkBytes: 7, Content: pyth.ContentStored,
			},
			Code: "print(42)",
			Outcome: &pyth.Outcome{
				Status: pyth.StatusFailed, ExitCode: &one, Stdout: []byte("42\n\xff"), Error: &pyth.ProgramError{Name: "E"},
				Results: []pyth.Result{{"text/plain": "1"}}, Files: []pyth.File{{Path: "a.csv", Content: []byte("a")}},
				Usage: pyth.Usage{Network: []pyth.Connection{{Host: "h", Verdict: "allowed"}}},
			},
		},
	}}
}

func newRecordServer(t *testing.T) (*server, *records) {
	r := newRecords()
	return newServer(t, func(c *api.Config) { c.Records = r }), r
}

func TestListExecutionsPagesAndFilters(t *testing.T) {
	s, r := newRecordServer(t)
	var page struct {
		Executions []struct {
			ID, State, Content string
			Labels             []string
		}
		NextCursor string
	}
	var ids []string
	cursor := ""
	for range 3 {
		page.NextCursor = ""
		s.send(request("GET", "/api/v1/executions?limit=1&cursor="+cursor, "")).decode(t, &page)
		if len(page.Executions) != 1 || page.Executions[0].Labels == nil {
			t.Fatalf("got %+v", page)
		}
		ids, cursor = append(ids, page.Executions[0].ID), page.NextCursor
	}
	if !slices.Equal(ids, []string{"exe_4", "exe_2", "exe_1"}) || cursor != "" {
		t.Errorf("got %q, then cursor %q", ids, cursor)
	}
	res := s.send(request("GET", "/api/v1/executions?state=ended&status=failed&language=python&label=nightly&sessionId=ses_1&key=key_1"+
		"&since=2026-04-04T08:23:21Z&until=2026-04-05T00:00:00Z", ""))
	if res.StatusCode != 200 {
		t.Fatal(res.body)
	}
	want := pyth.ExecutionFilter{
		State: pyth.StateEnded, Status: pyth.StatusFailed, Language: pyth.Python, Label: "nightly", Session: "ses_1", Key: "key_1",
		Since: time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC), Until: time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, r.filter); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	for _, query := range []string{"state=done", "status=ok", "labels=a", "cursor=x", "limit=0", "since=yesterday"} {
		if res := s.send(request("GET", "/api/v1/executions?"+query, "")); res.StatusCode != 400 || len(res.problem(t).Errors) != 1 {
			t.Errorf("%s: status %d: %s", query, res.StatusCode, res.body)
		}
	}
}

func TestGetExecutionReturnsTheFieldsOfItsState(t *testing.T) {
	s, r := newRecordServer(t)
	for id, want := range map[string]string{
		"exe_4": `{"createdAt":"2026-04-04T08:23:21.123Z","id":"exe_4","labels":[],"language":"python","state":"queued"}`,
		"exe_2": `{"content":"none","createdAt":"2026-04-04T08:23:21.123Z","endedAt":"2026-04-04T08:23:21.123Z","id":"exe_2","labels":[],"language":"python",` +
			`"reason":"worker_lost","signal":"SIGKILL","state":"ended","status":"killed",` +
			`"usage":{"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0,"wallMs":0}}`,
		"exe_1": `{"code":"print(42)","content":"stored","createdAt":"2026-04-04T08:23:21.123Z","endedAt":"2026-04-04T08:23:21.123Z",` +
			`"error":{"message":"","name":"E","traceback":""},"exitCode":1,` +
			`"files":[{"content":"a","encoding":"utf8","mediaType":"text/csv","path":"a.csv","sizeBytes":1}],"filesSkipped":[],"id":"exe_1","keyId":"key_1",` +
			`"labels":["nightly"],"language":"python","results":[{"text/plain":"1"}],"sessionId":"ses_1","startedAt":"2026-04-04T08:23:21.123Z","state":"ended",` +
			`"status":"failed","stderr":"","stdout":"42\n` + "\ufffd" + `","usage":{"cpuMs":0,"memoryPeakBytes":0,` +
			`"network":[{"count":0,"host":"h","port":0,"receivedBytes":0,"sentBytes":0,"verdict":"allowed"}],"networkBytes":7,"queuedMs":0,"wallMs":2}}`,
	} {
		var got, wanted any
		res := s.send(request("GET", "/api/v1/executions/"+id, ""))
		res.decode(t, &got)
		answer{body: want}.decode(t, &wanted)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", id, diff)
		}
	}
	for _, id := range []string{"exe_3", "absent"} {
		if res := s.send(request("GET", "/api/v1/executions/"+id, "")); res.StatusCode != 404 {
			t.Errorf("%s: status %d", id, res.StatusCode)
		}
	}
	for query, status := range map[string]int{"wait=30": 200, "wait=61": 400, "wait=-1": 400, "wait=1s": 400, "wait": 400} {
		r.waiting = func(_ context.Context, wait time.Duration) {
			if query == "wait=30" && wait != 30*time.Second {
				t.Errorf("waits for %v", wait)
			}
		}
		if res := s.send(request("GET", "/api/v1/executions/exe_4?"+query, "")); res.StatusCode != status {
			t.Errorf("%s: status %d: %s", query, res.StatusCode, res.body)
		}
	}
}

func TestGetExecutionStopsWaitingWhenTheServerStops(t *testing.T) {
	s, r := newRecordServer(t)
	r.waiting = func(ctx context.Context, _ time.Duration) {
		s.handler.Drain()
		<-ctx.Done()
	}
	if res := s.send(request("GET", "/api/v1/executions/exe_4?wait=60", "")); res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestCancelAndDeleteExecution(t *testing.T) {
	s, r := newRecordServer(t)
	for call, status := range map[string]int{
		"POST /api/v1/executions/exe_4/cancel": 202, "POST /api/v1/executions/exe_3/cancel": 404,
		"DELETE /api/v1/executions/exe_4": 409, "DELETE /api/v1/executions/exe_3": 404, "DELETE /api/v1/executions/exe_1": 204,
	} {
		method, path, _ := strings.Cut(call, " ")
		if res := s.send(request(method, path, "")); res.StatusCode != status {
			t.Errorf("%s: status %d: %s", call, res.StatusCode, res.body)
		}
	}
	if len(r.calls) != 2 {
		t.Errorf("calls: %q", r.calls)
	}
}

func TestExecutePassesStore(t *testing.T) {
	s := newServer(t)
	for body, want := range map[string]bool{
		`{"code":"1"}`: false, `{"code":"1","store":true}`: false, `{"code":"1","store":false}`: true,
	} {
		if res := s.execute(body); res.StatusCode != http.StatusOK || s.executions.program.NoStore != want {
			t.Errorf("%s: status %d, NoStore %v", body, res.StatusCode, s.executions.program.NoStore)
		}
	}
}
