package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// requireJSONLog checks that each line of the log is a JSON record. The keys must be in
// snake_case, and durations must be in milliseconds. It returns the records.
func requireJSONLog(t *testing.T, log string) []object {
	t.Helper()
	key := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	var records []object
	for line := range strings.Lines(log) {
		var r object
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("not a record: %q", line)
			continue
		}
		records = append(records, r)
		if level, _ := r["level"].(string); !slices.Contains([]string{"DEBUG", "INFO", "WARN", "ERROR"}, level) {
			t.Errorf("unexpected level in %q", line)
		}
		if r["msg"] == "" || r["time"] == "" {
			t.Errorf("no message or time in %q", line)
		}
		for k, v := range r {
			if !key.MatchString(k) {
				t.Errorf("unexpected key %q in %q", k, line)
			}
			_, number := v.(float64)
			if strings.HasSuffix(k, "_ms") != (number && regexp.MustCompile(`(?i)duration|took|elapsed|_ms$|most`).MatchString(k)) {
				t.Errorf("unexpected duration %q in %q", k, line)
			}
		}
	}
	return records
}

func TestServeJSONLogContainsOnlyRecords(t *testing.T) {
	t.Parallel()
	// The data directory is empty. So the server builds the image and logs the build.
	data := t.TempDir()
	if err := syscall.Chmod(data, 0o755); err != nil { // The server makes the directory private and logs this.
		t.Fatal(err)
	}
	s := startServerIn(t, data, nil, append([]string{"--log-format=json", "--node=" + nodeBinary(t)}, defaultStock...)...)
	a := s.register(t)
	a.run(t, "print(42)").prints(t, "42\n")
	a.execute(t, object{"code": "console.log(42)", "language": "javascript"}).prints(t, "42\n")
	s.call(t, a, "GET", "/nowhere", nil).refused(t, 404, "not_found")
	// When SIGABRT ends gVisor, gVisor prints a message. This message must not appear
	// between the records of the log.
	for _, pid := range s.sandboxPIDs() {
		_ = syscall.Kill(pid, syscall.SIGABRT)
	}
	eventually(t, "the sandboxes are replaced", func() bool { return s.isIdle(t) })
	a.run(t, "print(42)").prints(t, "42\n")
	s.stop(t)
	records := requireJSONLog(t, s.log.String())
	find := func(msg string) object {
		i := slices.IndexFunc(records, func(r object) bool { return r["msg"] == msg })
		if i < 0 {
			t.Fatalf("no %q in %s", msg, s.log)
		}
		return records[i]
	}
	if r := find("preparing"); !strings.HasPrefix(r["step"].(string), "Unpacking Python") {
		t.Errorf("%v", r)
	}
	if r := find("request"); r["duration_ms"].(float64) <= 0 || r["request_id"] == "" {
		t.Errorf("%v", r)
	}
	if r := find("stopping: waiting for running programs"); r["timeout_ms"].(float64) != 30_000 {
		t.Errorf("%v", r)
	}
}

func TestServeJSONLogExplainsExit(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/nothing"
	for name, args := range map[string][]string{
		"an invalid address":              {"--log-format=json", "--addr=nonsense", "--data-dir=" + t.TempDir()},
		"an unknown flag":                 {"--log-format", "json", "--adr=x"},
		"a missing file":                  {"--invites-file=" + file, "--log-format=json", "--data-dir=" + t.TempDir()},
		"an invalid combination of flags": {"--log-format=json", "--hsts=1h", "--data-dir=" + t.TempDir(), "--addr=127.0.0.1:0"},
	} {
		code, log := runServeUntilExit(t, args...)
		if records := requireJSONLog(t, log); code == 0 || len(records) == 0 || records[len(records)-1]["level"] != "ERROR" || records[len(records)-1]["error"] == nil {
			t.Errorf("%s: exit code %d: %s", name, code, log)
		}
	}
	// In the text format, the log must use the same keys for durations.
	s := sharedServer(t)
	s.call(t, nil, "GET", "/healthz", nil).want(t, 200, nil)
	eventually(t, "the request is logged", func() bool {
		return regexp.MustCompile(`route=/healthz status=200 .*duration_ms=[0-9.]+ `).MatchString(s.log.String())
	})
}

// TestServeJSONLogAsOrdinaryUser checks the log of a server that an ordinary user has
// started. Such a server has two processes, and both processes write to the same log.
func TestServeJSONLogAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	s := startServerIn(t, data, attr, "--log-format=json")
	s.register(t).run(t, "print(42)").prints(t, "42\n")
	s.stop(t)
	if records := requireJSONLog(t, s.log.String()); len(records) < 3 {
		t.Errorf("%v", records)
	}
}

// runServeUntilExit starts a server that exits by itself. It returns the exit code and
// the text on standard error.
func runServeUntilExit(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve"}, args...)...)
	cmd.Env = databases.environ(dataDirOf(args))
	pipe := must(cmd.StderrPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := must(io.ReadAll(pipe))(t)
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}
