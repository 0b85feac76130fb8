package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func (a *account) storeSecret(t testing.TB, name, value string) {
	t.Helper()
	if s := a.server.call(t, a, "PUT", "/api/v1/secrets/"+name, object{"value": value}).status; s != 200 && s != 201 {
		t.Fatalf("status %d", s)
	}
}

// secretMetadata is the description of a secret in an answer of the API. It does not
// contain the value.
type secretMetadata struct {
	Name, Description, CreatedAt, UpdatedAt, LastUsedAt string
	Version                                             int
}

func (a *account) listSecrets(t testing.TB) []secretMetadata {
	t.Helper()
	var list struct{ Secrets []secretMetadata }
	a.server.call(t, a, "GET", "/api/v1/secrets", nil).want(t, 200, &list)
	return list.Secrets
}

func TestSecretsReachOnlyRuns(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := s.register(t), s.register(t)
	var first secretMetadata
	s.call(t, a, "PUT", "/api/v1/secrets/TOKEN", object{"value": "value-one", "description": "of mine"}).want(t, 201, &first)
	if first.Version != 1 || first.Description != "of mine" || first.LastUsedAt != "" {
		t.Errorf("got %+v", first)
	}
	s.call(t, a, "PUT", "/api/v1/secrets/TOKEN", object{"value": "välue \"two\"\n"}).want(t, 200, &first)
	a.storeSecret(t, "OTHER", "other-value")
	show := object{"code": "import os\nprint(sorted((k, v) for k, v in os.environ.items() if k in ('TOKEN', 'OTHER')))"}
	with := func(more object) object {
		for k, v := range show {
			more[k] = v
		}
		return more
	}
	plain := "[('OTHER', 'other-value'), ('TOKEN', 'välue \"two\"\\n')]\n"
	a.execute(t, with(object{"redactSecrets": false})).prints(t, plain)
	if x := a.execute(t, with(object{})).prints(t, "[('OTHER', '[secret:OTHER]'), ('TOKEN', '[secret:TOKEN]')]\n"); x.Redactions != 2 {
		t.Errorf("%d redactions, want 2", x.Redactions)
	}
	a.execute(t, with(object{"secrets": []string{"OTHER"}, "redactSecrets": false})).prints(t, "[('OTHER', 'other-value')]\n")
	a.execute(t, with(object{"secrets": []string{}})).prints(t, "[]\n")
	a.execute(t, with(object{"env": object{"OTHER": "mine"}, "secrets": []string{"TOKEN"}, "redactSecrets": false})).
		prints(t, "[('OTHER', 'mine'), ('TOKEN', 'välue \"two\"\\n')]\n")
	b.execute(t, show).prints(t, "[]\n")
	for language, code := range map[string]string{
		"javascript": "console.log(process.env.TOKEN, JSON.stringify(process.env.TOKEN))",
		"typescript": "const token: string = process.env.TOKEN!\nconsole.log(token, JSON.stringify(token))",
	} {
		a.execute(t, object{"language": language, "code": code}).prints(t, "[secret:TOKEN] \"[secret:TOKEN]\"\n")
		a.execute(t, object{"language": language, "code": code, "redactSecrets": false}).prints(t, "välue \"two\"\n \"välue \\\"two\\\"\\n\"\n")
	}
	// Child processes of the program must also get the secrets.
	a.execute(t, object{"code": "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'import os; print(os.environ[\"OTHER\"])'], text=True), end='')", "redactSecrets": false}).prints(t, "other-value\n")
	if got := a.listSecrets(t); len(got) != 2 || got[0].Name != "OTHER" || got[1].Version != 2 || got[0].LastUsedAt == "" || got[1].LastUsedAt < got[1].UpdatedAt {
		t.Errorf("got %+v", got)
	}
	if got := b.listSecrets(t); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	s.call(t, b, "DELETE", "/api/v1/secrets/TOKEN", nil).refused(t, 404, "not_found")
	s.call(t, a, "DELETE", "/api/v1/secrets/TOKEN", nil).want(t, 204, nil)
	s.call(t, a, "DELETE", "/api/v1/secrets/TOKEN", nil).refused(t, 404, "not_found")
	if p := s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "secrets": []string{"OTHER", "TOKEN"}}).refused(t, 400, "invalid_request"); p.Errors[0].Location != "body.secrets[1]" {
		t.Errorf("got %+v", p)
	}
	s.call(t, a, "PUT", "/api/v1/secrets/LD_PRELOAD", object{"value": "x"}).refused(t, 400, "reserved_name")
	s.call(t, a, "PUT", "/api/v1/secrets/A-B", object{"value": "x"}).refused(t, 400, "invalid_request")
	// The secrets must still exist after the server was killed.
	data := s.data
	s.kill(t)
	s = startServerIn(t, data, nil)
	a.server = s
	a.execute(t, object{"code": "import os\nprint(os.environ['OTHER'])", "redactSecrets": false}).prints(t, "other-value\n")
}

func TestSecretsAreRedactedEverywhere(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const value = "canary/of+a secret"
	a.storeSecret(t, "CANARY", value)
	code := `
import os, sys, time, base64, urllib.parse
v = os.environ["CANARY"]
for part in (v[:4], v[4:9], v[9:], "\n"):
    sys.stdout.write(part)
    sys.stdout.flush()
    time.sleep(0.05)
print(base64.b64encode(("x" + v).encode()).decode(), urllib.parse.quote(v), v.encode().hex())
display({"json": v})
class H:
    def _repr_html_(self): return "<b>" + v + "</b>"
display(H())
print(v, file=sys.stderr)
raise ValueError(v)
`
	s := a.openStream(context.Background(), t, object{"code": code})
	var all bytes.Buffer
	for {
		e, ok := s.next(t)
		if !ok {
			break
		}
		all.WriteString(e.name)
		all.Write(e.data)
		all.WriteByte('\n')
		if e.name == "end" {
			var x execution
			if err := json.Unmarshal(e.data, &x); err != nil {
				t.Fatal(err)
			}
			if x.ends(t, "failed"); x.Redactions < 9 || !strings.Contains(x.Error.Message, "[secret:CANARY]") {
				t.Errorf("%d redactions: %s", x.Redactions, e.data)
			}
		}
	}
	for _, form := range []string{value, "canary", "ary/of", base64.StdEncoding.EncodeToString([]byte(value))[4:12], "canary%2F", fmt.Sprintf("%x", value)} {
		if strings.Contains(all.String(), form) {
			t.Errorf("%q is in the stream: %s", form, all.String())
		}
	}
	if !strings.Contains(all.String(), `stdout{"text":"[secret:CANARY]`) {
		t.Errorf("got %s", all.String())
	}
}

func TestSessionRedactsSecretsOfEarlierRuns(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	a.storeSecret(t, "ONE", "value-of-one")
	a.storeSecret(t, "TWO", "value-of-two")
	a.server.call(t, a, "POST", "/api/v1/sessions", object{"secrets": []string{"THREE"}}).refused(t, 400, "invalid_request")
	s := a.openSession(t, object{"secrets": []string{"ONE"}})
	s.runCode(t, "import os\nkept = os.environ['ONE']\nprint('TWO' in os.environ)").prints(t, "False\n")
	s.runCode(t, "print('ONE' in os.environ, kept, len(kept))", object{"secrets": []string{}}).prints(t, "False [secret:ONE] 12\n")
	a.server.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "sessionId": s.ID, "secrets": []string{"TWO"}}).refused(t, 400, "invalid_request")
}

// TestAttack041And103SecretLeavesNoTraceOnHost searches the host for a secret value
// during a run (attacks 41 and 103). Only the run that uses the secret may contain the
// value.
func TestAttack041And103SecretLeavesNoTraceOnHost(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) *server{
		"as root": func(t *testing.T) *server { return startServer(t, defaultStock...) },
		"as an ordinary user": func(t *testing.T) *server {
			attr, data := ordinaryUser(t)
			return startServerIn(t, data, attr, defaultStock...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			a := s.register(t)
			canary := "CANARY-" + strings.Repeat("s3cret", 3)
			a.storeSecret(t, "CANARY", canary)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// The program searches for the secret in places where the secret must not
			// be. Then the program waits.
			run := a.openStream(ctx, t, object{"code": `
import glob, os, sys
found = []
for p in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + glob.glob("/proc/gvisor/*") + glob.glob("/run/**", recursive=True):
    if not os.path.isfile(p) or p.startswith(("/proc/self/", "/proc/%d/" % os.getpid(), "/proc/thread-self/")): continue
    try:
        if os.environ["CANARY"].encode() in open(p, "rb").read(1 << 20): found.append(p)
    except OSError: pass
print(found, flush=True)
import time
time.sleep(60)
`})
			for {
				e, ok := run.next(t)
				if !ok {
					t.Fatal("the run ended")
				}
				if e.name == "stdout" {
					if e.text(t) != "[]\n" {
						t.Errorf("in the sandbox: %s", e.data)
					}
					break
				}
			}
			requireNoTrace(t, s, canary)
			cancel()
			s.waitUntilPoolFull(t)
			requireNoTrace(t, s, canary)
			s.stop(t)
			requireNoTrace(t, s, canary)
		})
	}
}

// requireNoTrace checks that no file contains the text in the parameter "canary". It
// reads the data directory, the log and temporary files. It also reads the arguments
// and the environment of other processes.
func requireNoTrace(t *testing.T, s *server, canary string) {
	t.Helper()
	forms := [][]byte{[]byte(canary), []byte(base64.StdEncoding.EncodeToString([]byte(canary)))[:16]}
	look := func(path string) {
		b, err := readUpTo(path, 64<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return // The process has ended.
		}
		for _, form := range forms {
			if bytes.Contains(b, form) {
				t.Errorf("%s is in %s", form, path)
			}
		}
	}
	for _, dir := range []string{s.data, os.TempDir(), "/dev/shm", "/var/crash", "/run/pyth-on"} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && !writtenBefore(d, s.started) {
				look(path)
			}
			if err == nil && d.IsDir() && (d.Name() == "go-build" || strings.HasPrefix(d.Name(), "go-build")) {
				return fs.SkipDir
			}
			return nil
		})
	}
	for _, file := range []string{"cmdline", "environ"} {
		paths, _ := filepath.Glob("/proc/[0-9]*/" + file)
		for _, path := range paths {
			look(path)
		}
	}
	for _, form := range forms {
		if strings.Contains(s.log.String(), string(form)) {
			t.Errorf("%s is in the log", form)
		}
	}
}

// writtenBefore reports whether the file was last changed more than a second before the
// given time. A server that started at this time has not changed such a file.
func writtenBefore(d fs.DirEntry, at time.Time) bool {
	info, err := d.Info()
	return err == nil && info.ModTime().Before(at.Add(-time.Second))
}

func readUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
