package mcp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/mcp"
)

// fakeAPI is a fake API. It records the requests, and answers runs with the events in
// the field "events".
type fakeAPI struct {
	mu       sync.Mutex
	requests []string
	executed client.ExecuteRequest
	process  client.ProcessRequest
	written  string
	events   []string
	end      client.ExecuteResponse
	// The channel "hang" delays the end of runs. The channel "canceled" receives a value
	// when a run or a process is canceled.
	hang     chan struct{}
	canceled chan struct{}
}

func newFakeAPI() *fakeAPI {
	exit := int64(0)
	return &fakeAPI{canceled: make(chan struct{}, 1), end: client.ExecuteResponse{ID: "exe_1", Status: client.ExecutionStatusSucceeded, ExitCode: &exit, Language: client.LanguagePython}}
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	a.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "POST /api/v1/execute/stream":
		_ = json.Unmarshal(body, &a.executed)
		a.stream(w, r)
	case "POST /api/v1/sessions":
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"ses_1","language":"python","expiresAt":"2026-04-04T08:24:21Z"}`)
	case "GET /api/v1/sessions":
		_, _ = io.WriteString(w, `{"sessions":[{"id":"ses_1","language":"python","running":true,"expiresAt":"2026-04-04T08:24:21Z"}]}`)
	case "GET /api/v1/sessions/ses_1":
		_, _ = io.WriteString(w, `{"id":"ses_1","language":"python"}`)
	case "GET /api/v1/sessions/ses_js":
		_, _ = io.WriteString(w, `{"id":"ses_js","language":"javascript"}`)
	case "POST /api/v1/sessions/ses_js/processes":
		_ = json.Unmarshal(body, &a.process)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"pid":7,"command":"ls","state":"running","startedAt":"2026-04-04T08:23:21Z","outputBytes":0}`)
	case "GET /api/v1/sessions/ses_js/processes/7/output":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "id: 4\nevent: stdout\ndata: {\"text\":\"a.js\"}\n\nid: 7\nevent: stderr\ndata: {\"text\":\"err\"}\n\n")
		if a.hang != nil {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "id: 8\nevent: end\ndata: {\"pid\":7,\"command\":\"ls\",\"state\":\"exited\",\"signal\":\"SIGKILL\","+
			"\"startedAt\":\"2026-04-04T08:23:21Z\",\"endedAt\":\"2026-04-04T08:23:22Z\",\"outputBytes\":7}\n\n")
	case "POST /api/v1/sessions/ses_js/processes/7/signal":
		w.WriteHeader(http.StatusNoContent)
		a.canceled <- struct{}{}
	case "DELETE /api/v1/sessions/ses_1":
		w.WriteHeader(http.StatusNoContent)
	case "GET /api/v1/sessions/ses_1/files":
		_, _ = io.WriteString(w, `{"files":[{"path":"a.txt","sizeBytes":1},{"path":"data/b.txt","sizeBytes":2},{"path":"database","sizeBytes":3}]}`)
	case "GET /api/v1/sessions/ses_1/files/long.txt":
		_, _ = io.WriteString(w, strings.Repeat("é", 40_000))
	case "GET /api/v1/sessions/ses_1/files/data.bin":
		_, _ = w.Write([]byte{1, 0, 0xff})
	case "GET /api/v1/sessions/ses_1/files/plot.dat":
		_, _ = w.Write(png)
	case "PUT /api/v1/sessions/ses_1/files/data/in.bin":
		a.written = string(body)
		w.WriteHeader(http.StatusCreated)
	case "POST /api/v1/packages":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: progress\ndata: {\"step\":\"resolve\",\"detail\":\"six\"}\n\nevent: end\ndata: {\"name\":\"six\",\"version\":\"1.17\",\"language\":\"python\",\"sizeBytes\":9}\n\n")
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"code":"not_found","detail":"The session does not exist."}`)
	}
}

// received reports whether the API has received a request.
func (a *fakeAPI) received(request string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.requests, request)
}

func (a *fakeAPI) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "event: start\ndata: {\"id\":\"exe_1\"}\n\n")
	for _, e := range a.events {
		_, _ = io.WriteString(w, e)
	}
	if a.hang != nil {
		select {
		case <-a.hang:
		case <-r.Context().Done():
			a.canceled <- struct{}{}
			return
		}
	}
	end, _ := json.Marshal(a.end)
	fmt.Fprintf(w, "event: end\ndata: %s\n\n", end)
}

var png = []byte("\x89PNG\r\n\x1a\nrest")

// discarded returns a logger that discards the logs of servers.
func discarded() *slog.Logger { return slog.New(slog.DiscardHandler) }

// connect returns a client of the tools that call the API.
func connect(t *testing.T, api http.Handler, options *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	transport := mcp.NewHandlerTransport(t.Context(), api, mcp.Origin{RemoteAddr: "192.0.2.1:1"})
	c, err := client.New("http://api.internal", client.WithAPIKey("key"), client.WithRetries(0), client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	server := mcp.New("1.2.3", func(context.Context) (*client.Client, error) { return c, nil }, discarded())
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- server.ServeStdio(context.Background(), fromClient, toClient) }()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, options).
		Connect(t.Context(), &sdk.IOTransport{Reader: fromServer, Writer: toServer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = session.Close()
		select {
		case err := <-served:
			// Ignore this error, because the client may close the pipe while the server
			// sends a result.
			if err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("the server ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server does not end with its input")
		}
	})
	return session
}

// callTool calls a tool, and decodes the structured content of the result to "into".
func callTool(t *testing.T, s *sdk.ClientSession, name string, arguments map[string]any, into any) *sdk.CallToolResult {
	t.Helper()
	result, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if into != nil {
		b, err := json.Marshal(result.StructuredContent)
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, textOf(result))
		}
	}
	return result
}

// textOf returns all texts of a result.
func textOf(r *sdk.CallToolResult) string {
	var all []string
	for _, c := range r.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			all = append(all, text.Text)
		}
	}
	return strings.Join(all, "\n")
}

func TestToolsHaveSimpleSchemas(t *testing.T) {
	t.Parallel()
	listed, err := connect(t, newFakeAPI(), nil).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
		b, _ := json.Marshal(tool)
		for _, bad := range []string{`"null"`, `"$ref"`, `"anyOf"`, `"oneOf"`} {
			if strings.Contains(string(b), bad) {
				t.Errorf("the tool %s has a schema with %s, which not all clients support: %s", tool.Name, bad, b)
			}
		}
		if len(tool.Description) < 40 || len(tool.Description) > 700 || tool.Annotations == nil || tool.OutputSchema == nil {
			t.Errorf("the tool %s is incomplete: %s", tool.Name, b)
		}
	}
	const want = "file_list file_read file_write package_add run_code run_command session_close session_create session_list"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("tools %s, want %s", got, want)
	}
}

func TestRunCodeReturnsOutput(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.events = []string{"event: stdout\ndata: {\"text\":\"hello\\n\"}\n\n", "event: stderr\ndata: {\"text\":\"careful\\n\"}\n\n"}
	api.end.Results = []client.ResultValue{{"text/plain": "42"}}
	api.end.Usage = client.Usage{WallMs: 7, MemoryPeakBytes: 9}
	var out struct {
		Status, Stdout, Stderr, Value string
		ExitCode                      int `json:"exit_code"`
		Usage                         struct {
			WallMs int `json:"wall_ms"`
		}
	}
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{
		"code": "print('hello')", "language": "python", "timeout_ms": 5000, "stdin": "x", "output_files": []string{"*.csv"},
		"files": []map[string]any{{"path": "a.txt", "content": "YQ==", "encoding": "base64"}},
	}, &out)
	if result.IsError || textOf(result) != "stdout:\nhello\n\nstderr:\ncareful\n\nvalue:\n42\n\nstatus: succeeded, exit code 0, 7 ms" {
		t.Errorf("the text is %q", textOf(result))
	}
	if out.Status != "succeeded" || out.Stdout != "hello\n" || out.Stderr != "careful\n" || out.Value != "42" || out.Usage.WallMs != 7 {
		t.Errorf("the structured content is %+v", out)
	}
	if e := api.executed; e.Code != "print('hello')" || e.TimeoutMs != 5000 || e.Stdin != "x" || e.Files[0].Encoding != client.EncodingBase64 || e.OutputFiles[0] != "*.csv" || e.SessionID != "" {
		t.Errorf("the API received %+v", e)
	}
}

func TestRunCodeReportsFailure(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	exit := int64(1)
	api.end.Status, api.end.ExitCode = client.ExecutionStatusFailed, &exit
	api.end.SessionEnded = true
	api.end.Error = &client.ExecutionError{
		Name: "ModuleNotFoundError", Message: "No module named 'six'", Traceback: "Traceback: six",
		Hint: `Install it with POST /api/v1/packages {"package": "six"}.`,
	}
	var out struct {
		Error struct{ Name, Hint string }
	}
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{"code": "import six"}, &out)
	text := textOf(result)
	if !result.IsError || !strings.Contains(text, "error:\nTraceback: six") || !strings.Contains(text, `package_add {"package": "six"}`) ||
		!strings.Contains(text, "the session has ended") || !strings.Contains(text, "status: failed, exit code 1") {
		t.Errorf("error %t, text %q", result.IsError, text)
	}
	if out.Error.Name != "ModuleNotFoundError" || strings.Contains(out.Error.Hint, "/api/") {
		t.Errorf("the structured error is %+v", out.Error)
	}
}

func TestRunCodeReturnsMedia(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	large := base64.StdEncoding.EncodeToString(make([]byte, 3<<20+1))
	api.end.Results = []client.ResultValue{
		{"text/plain": "<Figure>", "image/png": base64.StdEncoding.EncodeToString(png)},
		{"text/plain": "table", "text/html": "<table>"},
		{"application/json": map[string]any{"a": 1}},
		{"image/png": large},
	}
	api.end.Files = []client.OutputFile{
		{Path: "out.csv", Content: "1,2\n", MediaType: "text/csv"},
		{Path: "doc.pdf", Content: "AAE=", Encoding: client.EncodingBase64, MediaType: "application/pdf"},
	}
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{"code": "x"}, nil)
	var got []string
	for _, c := range result.Content[1:] {
		switch c := c.(type) {
		case *sdk.ImageContent:
			got = append(got, c.MIMEType+" "+string(c.Data))
		case *sdk.EmbeddedResource:
			got = append(got, c.Resource.URI+" "+c.Resource.MIMEType+" "+c.Resource.Text+string(c.Resource.Blob))
		}
	}
	want := []string{
		"image/png " + string(png), "pyth-on://executions/exe_1/results/1 text/html <table>", `pyth-on://executions/exe_1/results/2 application/json {"a":1}`,
		"pyth-on://executions/exe_1/files/out.csv text/csv 1,2\n", "pyth-on://executions/exe_1/files/doc.pdf application/pdf \x00\x01",
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("media %q, want %q", got, want)
	}
	if text := textOf(result); !strings.Contains(text, "value:\ntable") || strings.Contains(text, "<Figure>") || !strings.Contains(text, "an image of 3145729 bytes is missing") {
		t.Errorf("the text is %q", text)
	}
}

// TestRunCodeChecksImages checks that clients can accept the result even if a program
// chooses a wrong media type or a special file name.
func TestRunCodeChecksImages(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.end.Results = []client.ResultValue{
		{"text/plain": "fake", "image/png": base64.StdEncoding.EncodeToString([]byte("no image"))},
		{"image/jpeg": base64.StdEncoding.EncodeToString(png)},
	}
	api.end.Files = []client.OutputFile{
		{Path: "fake.png", Content: "AAE=", Encoding: client.EncodingBase64, MediaType: "image/png"},
		{Path: "a b?#\n%zz/javascript:x", Content: "AAE=", Encoding: client.EncodingBase64, MediaType: "application/pdf"},
	}
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{"code": "x"}, nil)
	if len(result.Content) != 3 {
		t.Fatalf("%d contents: %q", len(result.Content), textOf(result))
	}
	if i, ok := result.Content[1].(*sdk.ImageContent); !ok || i.MIMEType != "image/png" {
		t.Errorf("the image is %+v", result.Content[1])
	}
	if r, ok := result.Content[2].(*sdk.EmbeddedResource); !ok || r.Resource.URI != "pyth-on://executions/exe_1/files/a%20b%3F%23%0A%25zz/javascript:x" {
		t.Errorf("the resource is %+v", result.Content[2])
	}
	if text := textOf(result); !strings.Contains(text, "value:\nfake") || strings.Count(text, "an image is missing: its data is not of the type image/png") != 2 {
		t.Errorf("the text is %q", text)
	}
}

// TestRunCodeLimitsReceivedOutput checks that a server cannot fill the memory of a client.
func TestRunCodeLimitsReceivedOutput(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	event := "event: stderr\ndata: {\"text\":\"" + strings.Repeat("x", 1<<20) + "\"}\n\n"
	api.events = slices.Repeat([]string{event}, 65)
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{"code": "x"}, nil)
	if !result.IsError || !strings.Contains(textOf(result), "longer than 67108864 bytes") {
		t.Errorf("%.200q", textOf(result))
	}
}

func TestRunCodeShortensOutput(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	b, _ := json.Marshal(map[string]string{"text": "begin" + strings.Repeat("é", 100_000) + "end"})
	api.events = []string{"event: stdout\ndata: " + string(b) + "\n\n"}
	var out struct{ Stdout string }
	result := callTool(t, connect(t, api, nil), "run_code", map[string]any{"code": "x"}, &out)
	for _, text := range []string{textOf(result), out.Stdout} {
		if len(text) > 21_000 || !strings.Contains(text, "begin") || !strings.Contains(text, "éend") || !strings.Contains(text, "bytes omitted; print less") || strings.ContainsRune(text, 0xfffd) {
			t.Errorf("%d bytes: %.200q", len(text), text)
		}
	}
}

func TestRunCommandStartsProcessInSession(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	exit := int64(3)
	api.end.Status, api.end.ExitCode = client.ExecutionStatusFailed, &exit
	s := connect(t, api, nil)
	result := callTool(t, s, "run_command", map[string]any{"command": "echo \"a'b\"\nexit 3"}, nil)
	if !result.IsError || !strings.Contains(textOf(result), "exit code 3") || api.executed.Language != client.LanguageBash || api.executed.Code != "echo \"a'b\"\nexit 3" {
		t.Errorf("%q, the API received %+v", textOf(result), api.executed)
	}
	api.executed = client.ExecuteRequest{}
	result = callTool(t, s, "run_command", map[string]any{"command": "ls", "session_id": "ses_js"}, nil)
	if text := textOf(result); !result.IsError || !strings.Contains(text, "stdout:\na.js\n\nstderr:\nerr\n") || !strings.Contains(text, "status: failed, exit code 137, 1000 ms") {
		t.Errorf("got %q", text)
	}
	if p := api.process; p.Command != "ls" || p.TimeoutMs != 30_000 || api.executed.Code != "" {
		t.Errorf("the API received %+v and %+v", p, api.executed)
	}
	for _, command := range []string{strings.Repeat("x", 100<<10+1), "a\x00b"} {
		if result := callTool(t, s, "run_command", map[string]any{"command": command}, nil); !result.IsError {
			t.Errorf("the command %.20q was accepted", command)
		}
	}
}

func TestSessionTools(t *testing.T) {
	t.Parallel()
	s := connect(t, newFakeAPI(), nil)
	var created struct {
		SessionID string `json:"session_id"`
	}
	callTool(t, s, "session_create", map[string]any{"language": "python"}, &created)
	if created.SessionID != "ses_1" {
		t.Errorf("session %+v", created)
	}
	if text := textOf(callTool(t, s, "session_list", nil, nil)); !strings.Contains(text, "ses_1 (python), ends at 2026-04-04T08:24:21Z") || !strings.Contains(text, "a program is running") {
		t.Errorf("the list is %q", text)
	}
	if r := callTool(t, s, "session_close", map[string]any{"session_id": "ses_1"}, nil); r.IsError {
		t.Error(textOf(r))
	}
	for name, arguments := range map[string]map[string]any{
		"session_close": {}, "file_read": {"path": "a"}, "file_write": {"path": "a", "content": ""}, "file_list": {}, "run_command": {"command": "ls"},
	} {
		arguments["session_id"] = "foreign"
		if r := callTool(t, s, name, arguments, nil); !r.IsError || !strings.Contains(textOf(r), "session_list lists the open sessions") {
			t.Errorf("%s of a foreign session: %q", name, textOf(r))
		}
	}
}

func TestFileTools(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	s := connect(t, api, nil)
	in := func(more map[string]any) map[string]any {
		more["session_id"] = "ses_1"
		return more
	}
	if text := textOf(callTool(t, s, "file_list", in(map[string]any{"path": "data"}), nil)); text != "data/b.txt (2 bytes)" {
		t.Errorf("the files are %q", text)
	}
	callTool(t, s, "file_write", in(map[string]any{"path": "data/in.bin", "content": "AP8=", "encoding": "base64"}), nil)
	if api.written != "\x00\xff" {
		t.Errorf("written: %q", api.written)
	}
	var part struct {
		Text       string
		NextOffset int `json:"next_offset"`
		SizeBytes  int `json:"size_bytes"`
	}
	callTool(t, s, "file_read", in(map[string]any{"path": "long.txt", "max_bytes": 11}), &part)
	if part.Text != "ééééé" || part.NextOffset != 10 {
		t.Errorf("the first part is %+v", part)
	}
	part.NextOffset = 0
	callTool(t, s, "file_read", in(map[string]any{"path": "long.txt", "offset": 79_996}), &part)
	if part.Text != "éé" || part.NextOffset != 0 || part.SizeBytes != 80_000 {
		t.Errorf("the last part is %+v", part)
	}
	result := callTool(t, s, "file_read", in(map[string]any{"path": "data.bin"}), nil)
	if r, ok := result.Content[0].(*sdk.EmbeddedResource); !ok || string(r.Resource.Blob) != "\x01\x00\xff" {
		t.Errorf("bytes: %+v", result.Content[0])
	}
	result = callTool(t, s, "file_read", in(map[string]any{"path": "plot.dat"}), nil)
	if r, ok := result.Content[0].(*sdk.ImageContent); !ok || r.MIMEType != "image/png" || string(r.Data) != string(png) {
		t.Errorf("image: %+v", result.Content[0])
	}
}

func TestPackageAdd(t *testing.T) {
	t.Parallel()
	var out struct{ Name, Version string }
	result := callTool(t, connect(t, newFakeAPI(), nil), "package_add", map[string]any{"package": "six"}, &out)
	if out.Name != "six" || out.Version != "1.17" || !strings.Contains(textOf(result), "Installed six 1.17 for python") {
		t.Errorf("%+v, %q", out, textOf(result))
	}
}

func TestToolsRefuseWrongArguments(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	s := connect(t, api, nil)
	for name, arguments := range map[string]map[string]any{
		"run_code":       {"code": "1", "timeout": 5},
		"session_create": {"language": "perl"},
		"session_close":  {"session_id": ""},
		"file_read":      {"session_id": "ses_1", "path": "a", "max_bytes": 1 << 30},
	} {
		r, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: arguments})
		if err == nil && !r.IsError {
			t.Errorf("%s accepted %v", name, arguments)
		}
	}
	if len(api.requests) > 0 {
		t.Errorf("the API received %q", api.requests)
	}
}

func TestRunCodeSendsProgress(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.events = []string{"event: stdout\ndata: {\"text\":\"step 1\\n\"}\n\n"}
	api.hang = make(chan struct{})
	progress := make(chan *sdk.ProgressNotificationParams, 100)
	s := connect(t, api, &sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { progress <- r.Params }})
	params := &sdk.CallToolParams{Name: "run_code", Arguments: map[string]any{"code": "x"}}
	params.SetProgressToken("token")
	go func() {
		defer close(api.hang)
		for p := range progress {
			if p.ProgressToken != "token" {
				t.Errorf("token %v", p.ProgressToken)
			}
			if p.Message == "step 1\n" && p.Progress > 0 {
				return
			}
		}
	}()
	if r, err := s.CallTool(t.Context(), params); err != nil || r.IsError {
		t.Error(r, err)
	}
}

// TestRunCodeIgnoresWrongProgressTokens checks that a client cannot make the server repeat
// a long token.
func TestRunCodeIgnoresWrongProgressTokens(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.events = []string{"event: stdout\ndata: {\"text\":\"step 1\\n\"}\n\n"}
	var notified atomic.Int64
	s := connect(t, api, &sdk.ClientOptions{ProgressNotificationHandler: func(context.Context, *sdk.ProgressNotificationClientRequest) { notified.Add(1) }})
	for _, token := range []any{strings.Repeat("x", 257), map[string]any{"a": 1}} {
		api.hang = make(chan struct{})
		time.AfterFunc(600*time.Millisecond, func() { close(api.hang) })
		params := &sdk.CallToolParams{Meta: sdk.Meta{"progressToken": token}, Name: "run_code", Arguments: map[string]any{"code": "x"}}
		if r, err := s.CallTool(t.Context(), params); err != nil || r.IsError {
			t.Error(r, err)
		}
	}
	if n := notified.Load(); n > 0 {
		t.Errorf("the client got %d notifications", n)
	}
}

// TestServeStdioEndsWithBlockedOutput checks that the server ends with its context, even
// if the client does not read the output.
func TestServeStdioEndsWithBlockedOutput(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, input := io.Pipe()
	out := &blocked{began: make(chan struct{}), end: make(chan struct{})}
	defer close(out.end)
	served := make(chan error, 1)
	go func() { served <- mcp.New("1.2.3", nil, discarded()).ServeStdio(ctx, in, out) }()
	fmt.Fprintln(input, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	<-out.began
	cancel()
	select {
	case err := <-served:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server does not end with its context")
	}
}

func TestServeStdioEndsCallsWithContext(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.hang = make(chan struct{})
	transport := mcp.NewHandlerTransport(t.Context(), api, mcp.Origin{})
	c, err := client.New("http://api.internal", client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, input := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- mcp.New("1.2.3", func(context.Context) (*client.Client, error) { return c, nil }, discarded()).ServeStdio(ctx, in, discard{})
	}()
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_code","arguments":{"code":"x"}}}`,
	} {
		fmt.Fprintln(input, message)
	}
	for deadline := time.Now().Add(10 * time.Second); !api.received("POST /api/v1/execute/stream"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the run did not start")
		}
	}
	cancel()
	select {
	case err := <-served:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end with its context")
	}
	<-api.canceled
}

// blocked is an output that accepts nothing. The first write closes the channel "began".
// It returns when the channel "end" is closed.
type blocked struct{ began, end chan struct{} }

func (b *blocked) Write([]byte) (int, error) {
	close(b.began)
	<-b.end
	return 0, io.ErrClosedPipe
}

func (*blocked) Close() error { return nil }

// discard is an output that nobody reads.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// TestPanicsEndOnlyTheirCall checks that the process continues after a panic in a tool. The
// function that returns the client is nil, so each tool panics.
func TestPanicsEndOnlyTheirCall(t *testing.T) {
	t.Parallel()
	log := new(bytes.Buffer)
	in, input := io.Pipe()
	output, out := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- mcp.New("1.2.3", nil, slog.New(slog.NewTextHandler(log, nil))).ServeStdio(t.Context(), in, out)
	}()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &sdk.IOTransport{Reader: output, Writer: input}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "session_list"}); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_ = session.Close()
	// Ignore this error, because the client may close the pipe while the server sends
	// a result.
	if err := <-served; err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the server ended with %v", err)
	}
	if !strings.Contains(log.String(), "level=ERROR msg=panic method=tools/call") {
		t.Errorf("the log is %q", log)
	}
}

func TestCancelEndsRun(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.hang = make(chan struct{})
	s := connect(t, api, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := s.CallTool(ctx, &sdk.CallToolParams{Name: "run_code", Arguments: map[string]any{"code": "x"}}); err == nil {
		t.Error("the call succeeded")
	}
	select {
	case <-api.canceled:
	case <-time.After(10 * time.Second):
		t.Error("the run was not canceled")
	}
}

func TestRunCommandKillsProcessOfCanceledCall(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	api.hang = make(chan struct{})
	s := connect(t, api, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !api.received("GET /api/v1/sessions/ses_js/processes/7/output") {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := s.CallTool(ctx, &sdk.CallToolParams{Name: "run_command", Arguments: map[string]any{"command": "sleep 1000", "session_id": "ses_js"}}); err == nil {
		t.Error("the canceled call succeeded")
	}
	<-api.canceled
}
