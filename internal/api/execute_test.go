package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	pyth "github.com/pyth-on/pyth-on"
)

func TestExecutePassesProgramOn(t *testing.T) {
	s := newServer(t)
	res := s.execute(`{
		"code": "print(42)\n", "language": "python", "stdin": "in", "args": ["a", "b"],
		"env": {"ZETA": "2", "ALPHA": "1"}, "secrets": [], "network": {"allow": ["example.org"]},
		"files": [{"path": "a.txt", "content": "é"}, {"path": "b.bin", "content": "AP8=", "encoding": "base64"}],
		"outputFiles": ["*.csv"], "timeoutMs": 1500, "sessionId": "ses_1", "isolation": "execution", "labels": ["x"],
		"limits": {"memoryBytes": 33554432, "cpuMs": 1000, "outputBytes": 10, "diskBytes": 2097152, "processes": 3}
	}`)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	want := &pyth.Program{
		Session: "ses_1", Language: pyth.Python, Code: "print(42)\n", Stdin: "in", Args: []string{"a", "b"},
		Env:         []pyth.EnvVar{{Name: "ALPHA", Value: "1"}, {Name: "ZETA", Value: "2"}},
		Files:       []pyth.File{{Path: "a.txt", Content: []byte("é")}, {Path: "b.bin", Content: []byte{0, 255}}},
		OutputFiles: []string{"*.csv"}, Timeout: 1500 * time.Millisecond,
		Limits:    pyth.Limits{MemoryBytes: 32 << 20, CPU: time.Second, OutputBytes: 10, DiskBytes: 2 << 20, Processes: 3},
		Isolation: pyth.IsolationExecution, Labels: []string{"x"}, Network: []string{"example.org"}, Secrets: []string{}, Results: true,
	}
	if diff := cmp.Diff(want, s.executions.program); diff != "" {
		t.Errorf("program (-want +got):\n%s", diff)
	}
	if s.executions.user != "usr_ada" {
		t.Errorf("the program ran for the user %q", s.executions.user)
	}
}

func TestExecuteAnswersFollowTheContract(t *testing.T) {
	seven := 7
	tests := []struct {
		name string
		run  *pyth.Execution
		want string
	}{
		{
			"a success has empty lists and no absent fields",
			succeeded("42\n"),
			`{"id":"exe_1","language":"python","status":"succeeded","exitCode":0,"stdout":"42\n","stderr":"",
			 "stdoutTruncated":false,"stderrTruncated":false,"results":[],"files":[],"filesSkipped":[],"redactions":0,
			 "usage":{"wallMs":2,"cpuMs":1,"memoryPeakBytes":8388608,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
		{
			"a failure has its exception",
			&pyth.Execution{ID: "e", Language: pyth.Python, CreatedAt: created, Outcome: pyth.Outcome{
				Status: pyth.StatusFailed, ExitCode: &seven, Stderr: []byte("oh\n"), StderrTruncated: true,
				Error: &pyth.ProgramError{Name: "ValueError", Message: "no", Traceback: "Traceback", Line: 3},
			}},
			`{"id":"e","language":"python","status":"failed","exitCode":7,"stdout":"","stderr":"oh\n",
			 "stdoutTruncated":false,"stderrTruncated":true,"results":[],"files":[],"filesSkipped":[],"redactions":0,
			 "error":{"name":"ValueError","message":"no","traceback":"Traceback","line":3},
			 "usage":{"wallMs":0,"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
		{
			"a run in a session has its id and end",
			&pyth.Execution{ID: "e", Language: pyth.Python, CreatedAt: created, Session: "ses_1", Outcome: pyth.Outcome{
				Status: pyth.StatusCanceled, SessionEnded: true,
			}},
			`{"id":"e","language":"python","status":"canceled","stdout":"","stderr":"","sessionId":"ses_1","sessionEnded":true,
			 "stdoutTruncated":false,"stderrTruncated":false,"results":[],"files":[],"filesSkipped":[],"redactions":0,
			 "usage":{"wallMs":0,"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
		{
			"a killed program has a signal and no exit code",
			&pyth.Execution{ID: "e", Language: pyth.Python, CreatedAt: created.In(time.FixedZone("", 3600)), Outcome: pyth.Outcome{
				Status: pyth.StatusKilled, Signal: "SIGKILL",
			}},
			`{"id":"e","language":"python","status":"killed","signal":"SIGKILL","stdout":"","stderr":"",
			 "stdoutTruncated":false,"stderrTruncated":false,"results":[],"files":[],"filesSkipped":[],"redactions":0,
			 "usage":{"wallMs":0,"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
		{
			"bytes that are not UTF-8 are replaced one by one",
			&pyth.Execution{ID: "e", Language: pyth.Python, CreatedAt: created, Outcome: pyth.Outcome{
				Status: pyth.StatusOutputLimit, Stdout: []byte("a\xff\xfeb<&>"), Stderr: []byte("\xe2\x82"),
				FilesSkipped: []pyth.SkippedFile{{Path: "n\xffame\n", Reason: "too large"}},
			}},
			`{"id":"e","language":"python","status":"output_limit","stdout":"a��b<&>","stderr":"��",
			 "stdoutTruncated":false,"stderrTruncated":false,"results":[],"files":[],
			 "filesSkipped":[{"path":"n�ame\n","reason":"too large"}],"redactions":0,
			 "usage":{"wallMs":0,"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
		{
			"files are text if possible",
			&pyth.Execution{ID: "e", Language: pyth.Python, CreatedAt: created, Outcome: pyth.Outcome{
				Status: pyth.StatusSucceeded,
				Files: []pyth.File{
					{Path: "a.csv", Content: []byte("x,é\n")},
					{Path: "b.PNG", Content: []byte{0x89, 0xff}},
					{Path: "c", Content: []byte("a\x00b")},
					{Path: "d", Content: nil},
					{Path: "e.unknown", Content: []byte("%PDF-1.7")},
				},
			}},
			`{"id":"e","language":"python","status":"succeeded","stdout":"","stderr":"",
			 "stdoutTruncated":false,"stderrTruncated":false,"results":[],"filesSkipped":[],"redactions":0,
			 "files":[{"path":"a.csv","sizeBytes":5,"content":"x,é\n","encoding":"utf8","mediaType":"text/csv"},
			  {"path":"b.PNG","sizeBytes":2,"content":"if8=","encoding":"base64","mediaType":"image/png"},
			  {"path":"c","sizeBytes":3,"content":"YQBi","encoding":"base64","mediaType":"application/octet-stream"},
			  {"path":"d","sizeBytes":0,"content":"","encoding":"utf8","mediaType":"text/plain"},
			  {"path":"e.unknown","sizeBytes":8,"content":"%PDF-1.7","encoding":"utf8","mediaType":"application/pdf"}],
			 "usage":{"wallMs":0,"cpuMs":0,"memoryPeakBytes":0,"queuedMs":0},"createdAt":"2026-04-04T08:23:21.123Z"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) { return tt.run, nil }
			res := s.execute(`{"code":"x"}`)
			var got, want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(res.body), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecuteRefusesFaultyPrograms(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
	}{
		{"no code", `{}`, []string{"body"}},
		{"empty code", `{"code":""}`, []string{"body.code"}},
		{"null code", `{"code":null}`, []string{"body.code"}},
		{"null for an optional field", `{"code":"x","stdin":null}`, []string{"body.stdin"}},
		{"a null in a list", `{"code":"x","args":["a",null]}`, []string{"body.args[1]"}},
		{"code of the wrong type", `{"code":42}`, []string{"body.code"}},
		{"an unknown language", `{"code":"x","language":"perl"}`, []string{"body.language"}},
		{"an unknown encoding", `{"code":"x","files":[{"path":"a","content":"","encoding":"hex"}]}`, []string{"body.files[0].encoding"}},
		{"invalid base64", `{"code":"x","files":[{"path":"a","content":"A","encoding":"base64"}]}`, []string{"body.files[0].content"}},
		{"base64 with a line break", `{"code":"x","files":[{"path":"a","content":"AP8=\n","encoding":"base64"}]}`, []string{"body.files[0].content"}},
		{"base64 for URLs", `{"code":"x","files":[{"path":"a","content":"_-8=","encoding":"base64"}]}`, []string{"body.files[0].content"}},
		{"base64 with stray bits", `{"code":"x","files":[{"path":"a","content":"AP9=","encoding":"base64"}]}`, []string{"body.files[0].content"}},
		{"a file without a path", `{"code":"x","files":[{"content":""}]}`, []string{"body.files[0]"}},
		{"a time-out of zero", `{"code":"x","timeoutMs":0}`, []string{"body.timeoutMs"}},
		{"a time-out over the maximum", `{"code":"x","timeoutMs":300001}`, []string{"body.timeoutMs"}},
		{"half a millisecond", `{"code":"x","timeoutMs":1.5}`, []string{"body.timeoutMs"}},
		{"number as text", `{"code":"x","timeoutMs":"1"}`, []string{"body.timeoutMs"}},
		{"memory over the maximum", `{"code":"x","limits":{"memoryBytes":1073741825}}`, []string{"body.limits.memoryBytes"}},
		{"an unknown limit", `{"code":"x","limits":{"memory":1}}`, []string{"body.limits.memory"}},
		{"too many labels", `{"code":"x","labels":[` + strings.Repeat(`"a",`, 16) + `"a"]}`, []string{"body.labels"}},
		{"too many files", `{"code":"x","files":[` + strings.Repeat(`{"path":"a","content":""},`, 64) + `{"path":"a","content":""}]}`, []string{"body.files"}},
		{"an environment of numbers", `{"code":"x","env":{"A":1}}`, []string{"body.env.A"}},
		{"all faults at once", `{"code":"","language":"perl","args":[1]}`, []string{"body.args[0]", "body.code", "body.language"}},
		{"a list instead of an object", `[]`, []string{"body"}},
		{"a null instead of an object", `null`, []string{"body"}},
	}
	s := newServer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := s.execute(tt.body)
			p := res.problem(t)
			if res.StatusCode != http.StatusBadRequest || p.Code != "invalid_request" {
				t.Fatalf("status %d: %s", res.StatusCode, res.body)
			}
			if diff := cmp.Diff(tt.want, p.locations()); diff != "" {
				t.Errorf("locations (-want +got):\n%s\n%s", diff, res.body)
			}
		})
	}
	if s.executions.program != nil {
		t.Error("an invalid program ran")
	}
}

func TestLimitsInMessagesHaveUnits(t *testing.T) {
	res := newServer(t).execute(`{"code":"x","limits":{"memoryBytes":1073741825}}`)
	if !strings.Contains(res.body, "must be at most 1,073,741,824 bytes") {
		t.Errorf("the answer lacks the maximum: %s", res.body)
	}
}

func TestExecuteSelectsSecretsByName(t *testing.T) {
	for body, want := range map[string]*pyth.Program{
		`{"code":"x"}`:                       {AllSecrets: true},
		`{"code":"x","secrets":[]}`:          {Secrets: []string{}},
		`{"code":"x","secrets":["A"]}`:       {Secrets: []string{"A"}},
		`{"code":"x","redactSecrets":false}`: {AllSecrets: true, KeepSecrets: true},
		`{"code":"x","redactSecrets":true}`:  {AllSecrets: true},
	} {
		s := newServer(t)
		if res := s.execute(body); res.StatusCode != 200 {
			t.Fatalf("status %d: %s", res.StatusCode, res.body)
		}
		want.Code, want.Results = "x", true
		if diff := cmp.Diff(want, s.executions.program, cmpopts.EquateEmpty()); diff != "" || (want.Secrets == nil) != (s.executions.program.Secrets == nil) {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestExecuteMapsErrorsToProblems(t *testing.T) {
	tests := []struct {
		name       string
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{"invalid", pyth.Invalid("body.files[0].path", "must be relative"), 400, "invalid_request", ""},
		{"reserved", pyth.Errorf(pyth.CodeReservedName, "PATH is reserved."), 400, "reserved_name", ""},
		{"too large", pyth.Errorf(pyth.CodeTooLarge, "The files are too large."), 413, "too_large", ""},
		{"overloaded with Retry-After", &pyth.Error{Code: pyth.CodeOverloaded, Message: "Busy.", RetryAfter: 1500 * time.Millisecond}, 503, "overloaded", "2"},
		{"overloaded without Retry-After", pyth.Errorf(pyth.CodeOverloaded, "Busy."), 503, "overloaded", "2"},
		{"no runtime", pyth.Errorf(pyth.CodeRuntimeUnavailable, "No Node."), 503, "runtime_unavailable", "2"},
		{"too late", context.DeadlineExceeded, 503, "unavailable", "2"},
		{"unknown code", pyth.Errorf("surprise", "secret detail"), 500, "internal", ""},
		{"internal error", context.Canceled, 503, "unavailable", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) { return nil, tt.err }
			res := s.execute(`{"code":"x"}`)
			p := res.problem(t)
			if res.StatusCode != tt.status || p.Code != tt.code || p.Status != tt.status {
				t.Errorf("status %d, want %d %s: %s", res.StatusCode, tt.status, tt.code, res.body)
			}
			if got := res.Header.Get("Retry-After"); got != tt.retryAfter {
				t.Errorf("Retry-After is %q, want %q", got, tt.retryAfter)
			}
			if strings.Contains(res.body, "secret detail") {
				t.Errorf("the answer shows the detail of an internal error: %s", res.body)
			}
			if p.RequestID == "" || p.RequestID != res.Header.Get("X-Request-Id") {
				t.Errorf("requestId is %q, the header %q", p.RequestID, res.Header.Get("X-Request-Id"))
			}
		})
	}
}
