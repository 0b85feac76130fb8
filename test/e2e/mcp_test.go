package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// inspectorOfPages is a script that replaces npx. It runs the installed inspector.
const inspectorOfPages = "#!/bin/sh\nshift\nexec node node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js \"$@\"\n"

// agent is a client of the Model Context Protocol.
type agent struct{ *mcp.ClientSession }

// bearer adds an API key to requests.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connectAgent connects a client. The client uses the given protocol version, or the
// newest version if "version" is "". The function "progress" gets the messages of
// progress notifications.
func connectAgent(t *testing.T, transport mcp.Transport, version string, progress func(string)) (agent, error) {
	t.Helper()
	options := &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
		if progress != nil {
			progress(r.Params.Message)
		}
	}}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options).
		Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		return agent{}, err
	}
	t.Cleanup(func() { _ = session.Close() })
	return agent{session}, nil
}

// overHTTP returns the transport to the endpoint /mcp of a server.
func overHTTP(s *server, key string) mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: s.URL + "/mcp", HTTPClient: &http.Client{Transport: bearer(key)}}
}

// toolResult is the result of a tool.
type toolResult struct {
	*mcp.CallToolResult
	toolOutput
}

// toolOutput contains fields of the structured content of several tools.
type toolOutput struct {
	SessionID string `json:"session_id"`
	ExitCode  *int   `json:"exit_code"`
	Stdout    string
	Value     string
	Text      string
}

// use calls a tool.
func (a agent) use(t *testing.T, name string, arguments object) *toolResult {
	t.Helper()
	params := &mcp.CallToolParams{Name: name, Arguments: arguments}
	params.SetProgressToken(name)
	r := new(toolResult)
	r.CallToolResult = must(a.CallTool(t.Context(), params))(t)
	if b := must(json.Marshal(r.StructuredContent))(t); r.StructuredContent != nil {
		if err := json.Unmarshal(b, &r.toolOutput); err != nil {
			t.Fatalf("%s: %v in %s", name, err, b)
		}
	}
	return r
}

// text returns the texts of the result.
func (r *toolResult) text() string {
	var all []string
	for _, c := range r.Content {
		if c, ok := c.(*mcp.TextContent); ok {
			all = append(all, c.Text)
		}
	}
	return strings.Join(all, "\n")
}

// useSession checks the tools with a session.
func (a agent) useSession(t *testing.T) {
	t.Helper()
	id := a.use(t, "session_create", object{}).SessionID
	a.use(t, "run_code", object{"session_id": id, "code": "x = 41"})
	if r := a.use(t, "run_code", object{"session_id": id, "code": "print('hi')\nx + 1"}); r.IsError || r.Stdout != "hi\n" || r.Value != "42" {
		t.Errorf("a run in a session: %s", r.text())
	}
	r := a.use(t, "run_code", object{"session_id": id, "code": "class Picture:\n  def _repr_png_(self): return b'\\x89PNG\\r\\n\\x1a\\n'\nPicture()"})
	if i := slices.IndexFunc(r.Content, func(c mcp.Content) bool { _, ok := c.(*mcp.ImageContent); return ok }); i < 0 {
		t.Errorf("no picture: %s", r.text())
	} else if c := r.Content[i].(*mcp.ImageContent); c.MIMEType != "image/png" || string(c.Data) != "\x89PNG\r\n\x1a\n" {
		t.Errorf("picture %s %q", c.MIMEType, c.Data)
	}
	a.use(t, "file_write", object{"session_id": id, "path": "in.txt", "content": "hello\n"})
	if r := a.use(t, "run_command", object{"session_id": id, "command": "tr a-z A-Z < in.txt | tee out.txt; exit 3"}); !r.IsError || r.Stdout != "HELLO\n" || r.ExitCode == nil || *r.ExitCode != 3 {
		t.Errorf("a command: %s", r.text())
	}
	if r := a.use(t, "run_command", object{"session_id": id, "command": "kill -9 $$"}); r.ExitCode == nil || *r.ExitCode != 137 {
		t.Errorf("a killed command: %s", r.text())
	}
	if text := a.use(t, "file_list", object{"session_id": id}).text(); !strings.Contains(text, "out.txt (6 bytes)") {
		t.Errorf("files: %s", text)
	}
	if r := a.use(t, "file_read", object{"session_id": id, "path": "out.txt"}); r.Text != "HELLO\n" {
		t.Errorf("a file: %s", r.text())
	}
	if text := a.use(t, "session_list", object{}).text(); !strings.Contains(text, id) {
		t.Errorf("sessions: %s", text)
	}
	if r := a.use(t, "session_close", object{"session_id": id}); r.IsError {
		t.Errorf("close: %s", r.text())
	}
	if r := a.use(t, "run_code", object{"session_id": id, "code": "x"}); !r.IsError || !strings.Contains(r.text(), "session_list") {
		t.Errorf("a closed session: %s", r.text())
	}
}

func TestMCPServesTools(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for _, version := range []string{"", "2025-06-18"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			ada, bob := s.register(t), s.register(t)
			a := must(connectAgent(t, overHTTP(s, ada.APIKey), version, nil))(t)
			a.useSession(t)
			b := must(connectAgent(t, overHTTP(s, bob.APIKey), version, nil))(t)
			id := a.use(t, "session_create", object{}).SessionID
			for name, arguments := range map[string]object{
				"run_code": {"code": "1"}, "run_command": {"command": "true"}, "file_read": {"path": "a"}, "file_list": {},
				"file_write": {"path": "a", "content": ""}, "session_close": {},
			} {
				arguments["session_id"] = id
				if r := b.use(t, name, arguments); !r.IsError || !strings.Contains(r.text(), "404 not_found") {
					t.Errorf("%s in a foreign session: %s", name, r.text())
				}
			}
			var log struct {
				Entries []struct {
					Action string
					Actor  struct{ Credential string }
					IP     string
				}
			}
			s.call(t, ada, "GET", "/api/v1/audit?action=session.created", nil).want(t, 200, &log)
			if len(log.Entries) != 2 || log.Entries[0].Actor.Credential != "api_key" || log.Entries[0].IP != "127.0.0.1" {
				t.Errorf("audit entries %+v", log.Entries)
			}
		})
	}
}

func TestMCPRefusesWrongCredentials(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	if _, err := connectAgent(t, overHTTP(s, "pyapi_wrong"), "", nil); err == nil {
		t.Error("a client with a wrong key connected")
	}
	s.call(t, nil, "POST", "/mcp", object{}).want(t, 401, nil)
	a := s.register(t)
	var key struct{ Key string }
	s.call(t, a, "POST", "/api/v1/keys", object{"name": "few", "scopes": []string{"packages"}}).want(t, 201, &key)
	if r := must(connectAgent(t, overHTTP(s, key.Key), "", nil))(t).use(t, "run_code", object{"code": "1"}); !r.IsError || !strings.Contains(r.text(), "403 missing_scope") {
		t.Errorf("a key without the scope: %s", r.text())
	}
}

func TestMCPCancelsRuns(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for _, version := range []string{"", "2025-06-18"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			ada := s.register(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a := must(connectAgent(t, overHTTP(s, ada.APIKey), version, func(message string) {
				if strings.Contains(message, "started") {
					cancel()
				}
			}))(t)
			params := &mcp.CallToolParams{Name: "run_code", Arguments: object{"code": "import time\nprint('started', flush=True)\ntime.sleep(100)", "timeout_ms": 120_000}}
			params.SetProgressToken("token")
			begin := time.Now()
			if r, err := a.CallTool(ctx, params); err == nil {
				t.Fatalf("the call was not canceled: %v", r)
			}
			var list struct {
				Executions []struct{ State, Status string }
			}
			for len(list.Executions) != 1 || list.Executions[0].State != "ended" {
				if time.Since(begin) > time.Minute {
					t.Fatalf("runs %+v", list.Executions)
				}
				time.Sleep(100 * time.Millisecond)
				s.call(t, ada, "GET", "/api/v1/executions", nil).want(t, 200, &list)
			}
			if got := list.Executions[0].Status; got != "canceled" {
				t.Errorf("status %s", got)
			}
		})
	}
}

// mcpCommand returns a command that serves MCP on standard input and output.
func mcpCommand(t *testing.T, cache string, env ...string) *exec.Cmd {
	cmd := exec.Command(binary, "mcp", "--cache-dir="+cache)
	cmd.Env = append(os.Environ(), "PYTH_ON_NODE="+nodeBinary(t), "XDG_CONFIG_HOME="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestMCPCommandRunsLocally(t *testing.T) {
	t.Parallel()
	cache := newDataDir(t)
	cmd := mcpCommand(t, cache)
	a := must(connectAgent(t, &mcp.CommandTransport{Command: cmd}, "", nil))(t)
	a.useSession(t)
	if r := a.use(t, "run_code", object{"language": "typescript", "code": "const n: number = 6 * 7; console.log(n)"}); r.Stdout != "42\n" {
		t.Errorf("TypeScript: %s", r.text())
	}
	js := a.use(t, "session_create", object{"language": "javascript"}).SessionID
	if r := a.use(t, "run_command", object{"session_id": js, "command": "echo from bash; exit 4"}); r.Stdout != "from bash\n" || r.ExitCode == nil || *r.ExitCode != 4 {
		t.Errorf("a command in a JavaScript session: %s", r.text())
	}
	// The command ends although a program is running and a session is open.
	params := &mcp.CallToolParams{Name: "run_code", Arguments: object{"session_id": js, "code": "for (;;);"}}
	go func() { _, _ = a.CallTool(context.WithoutCancel(t.Context()), params) }()
	time.Sleep(500 * time.Millisecond)
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = a.Wait() // Ignore the error, because the connection ends with the command.
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the command ended after %v", took)
	}
	if left := must(filepath.Glob(filepath.Join(cache, "run", "*", "data")))(t); len(left) > 0 {
		t.Errorf("the command left %v", left)
	}
}

func TestMCPCommandInstallsPackages(t *testing.T) {
	t.Parallel()
	index := newIndex(t).add(t, wheel{Name: "greeting", Version: "1.2", Files: map[string]string{"greeting.py": "text = 'hello from the package'\n"}})
	cmd := mcpCommand(t, newDataDir(t))
	cmd.Args = append(cmd.Args, index.Flag())
	a := must(connectAgent(t, &mcp.CommandTransport{Command: cmd}, "", nil))(t)
	if r := a.use(t, "run_code", object{"code": "import greeting"}); !r.IsError || !strings.Contains(r.text(), `package_add {"package": "greeting"}`) {
		t.Errorf("a missing package: %s", r.text())
	}
	if r := a.use(t, "package_add", object{"package": "greeting>=1"}); r.IsError {
		t.Fatal(r.text())
	}
	if r := a.use(t, "run_code", object{"code": "import greeting\nprint(greeting.text)"}); r.Stdout != "hello from the package\n" {
		t.Errorf("an added package: %s", r.text())
	}
}

func TestMCPCommandUsesServer(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	ada := s.register(t)
	cmd := mcpCommand(t, t.TempDir(), "PYTH_ON_SERVER="+s.URL, "PYTH_ON_API_KEY="+ada.APIKey)
	must(connectAgent(t, &mcp.CommandTransport{Command: cmd}, "2025-11-25", nil))(t).useSession(t)
}

// TestMCPWithPackagesFromNPM uses the unmodified SDK for JavaScript, and the inspector,
// which also checks whether all clients can use the schemas.
func TestMCPWithPackagesFromNPM(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	ada := s.register(t)
	dir := installNPMPackage(t, "mcp", "../mcp")
	if out := mustRun(t, commandIn(dir, nodeBinary(t), "client.mjs", s.URL, ada.APIKey, binary)); out != "ok\n" {
		t.Errorf("the client printed %q", out)
	}
	inspector := []string{"node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli", s.URL + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + ada.APIKey}
	mustRun(t, commandIn(dir, nodeBinary(t), append(inspector, "--method", "tools/list", "--strict")...))
	out := mustRun(t, commandIn(dir, nodeBinary(t), append(inspector, "--method", "tools/call", "--tool-name", "run_code", "--tool-arg", "code=print(6 * 7)")...))
	if !strings.Contains(out, `"stdout": "42\n"`) {
		t.Errorf("the inspector printed %s", out)
	}
}
