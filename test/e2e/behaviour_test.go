package e2e_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kluctl/go-embed-python/python"
	"github.com/rogpeppe/go-internal/txtar"
)

// behaviour contains all visible effects of a program, for example the output and the
// exit code.
type behaviour struct {
	Stdout, Stderr string
	ExitCode       int
	Signal         string
}

// TestExecutePythonBehavesAsOnHost runs each program of testdata/behaviour in the
// sandbox and on the host, with the same interpreter. Both results must be equal.
//
// Each archive in testdata/behaviour contains main.py and the other files of the
// working directory. Some entries of an archive are not files of the program. stdin
// contains the standard input, args contains one argument per line, and env contains
// one NAME=VALUE per line. The entry sees-results sets the field seesResults.
func TestExecutePythonBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	archives := must(filepath.Glob("testdata/behaviour/*.txtar"))(t)
	if len(archives) < 150 {
		t.Fatalf("only %d programs were found", len(archives))
	}
	compareWithHost(t, archives, pythonOnHost(t))
}

// unpackedPython unpacks the embedded Python once for all tests. It returns the path of
// the interpreter.
var unpackedPython = sync.OnceValues(func() (string, error) {
	outside, err := python.NewEmbeddedPythonWithTmpDir(filepath.Join(filepath.Dir(imageDir), "python"), false)
	if err != nil {
		return "", err
	}
	return outside.GetExePath()
})

func pythonOnHost(t *testing.T) language {
	return language{name: "python", file: "main.py", argv0: "python3", bin: must(unpackedPython())(t)}
}

type language struct{ name, file, argv0, bin string }

// compareWithHost runs each program with and without rich results. With -short, it runs
// only a quarter of the programs without rich results, because rich results are the
// default of the API.
func compareWithHost(t *testing.T, archives []string, l language) {
	a := sharedServer(t).register(t)
	for i, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			p := parseProgram(t, name, l)
			want := p.runOnHost(t)
			if !testing.Short() || p.seesResults || i%4 == 0 {
				if diff := cmp.Diff(want, p.runInSandbox(t, a, false)); diff != "" {
					t.Errorf("outside (-) and inside (+) differ:\n%s", diff)
				}
			}
			if p.seesResults {
				return
			}
			if diff := cmp.Diff(want, p.runInSandbox(t, a, true)); diff != "" {
				t.Errorf("outside (-) and inside (+) differ with results:\n%s", diff)
			}
		})
	}
}

// programArchive is a program of testdata/behaviour with all its input.
type programArchive struct {
	language
	path      string
	args, env []string
	stdin     string
	// seesResults is true if the output of the program depends on whether rich results
	// are enabled. For example, a program that counts all objects also counts the
	// objects of Pyth-On's code for results.
	seesResults bool
	files       map[string]string
}

func parseProgram(t *testing.T, name string, l language) *programArchive {
	t.Helper()
	archive := must(txtar.ParseFile(name))(t)
	p := &programArchive{language: l, path: name, files: make(map[string]string)}
	for _, f := range archive.Files {
		switch text := string(f.Data); f.Name {
		case "args":
			p.args = splitLines(text)
		case "env":
			p.env = splitLines(text)
		case "sees-results":
			p.seesResults = true
		case "stdin":
			p.stdin = text
		default:
			p.files[f.Name] = text
		}
	}
	if p.files[l.file] == "" {
		t.Fatalf("%s has no %s", name, l.file)
	}
	return p
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// request returns the request that runs the program. The parameter "results" says
// whether the request enables rich results.
func (p *programArchive) request(results bool) object {
	env := object{}
	for _, variable := range p.env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	var files []object
	for name, content := range p.files {
		if name != p.file {
			files = append(files, object{"path": name, "encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(content))})
		}
	}
	request := object{"language": p.name, "code": p.files[p.file], "stdin": p.stdin, "env": env, "timeoutMs": 60_000, "results": results}
	if p.args != nil {
		request["args"] = p.args
	}
	if files != nil {
		request["files"] = files
	}
	return request
}

func (p *programArchive) runInSandbox(t *testing.T, a *account, results bool) behaviour {
	return behaviourOf(a.execute(t, p.request(results)))
}

func behaviourOf(x *execution) behaviour {
	b := behaviour{Stdout: x.Stdout, Stderr: withoutPID(x.Stderr), ExitCode: -1, Signal: x.Signal}
	if x.ExitCode != nil {
		b.ExitCode = *x.ExitCode
	}
	return b
}

var nodeProcess = regexp.MustCompile(`\(node:\d+\)`)

func withoutPID(stderr string) string { return nodeProcess.ReplaceAllString(stderr, "(node)") }

// hostRuns caches the behaviour of each program on the host, because two tests need
// this behaviour.
var hostRuns struct {
	mu      sync.Mutex
	outcome map[string]func(*testing.T) behaviour
}

func (p *programArchive) runOnHost(t *testing.T) behaviour {
	t.Helper()
	hostRuns.mu.Lock()
	outcome := hostRuns.outcome[p.path]
	if outcome == nil {
		if hostRuns.outcome == nil {
			hostRuns.outcome = make(map[string]func(*testing.T) behaviour)
		}
		var once sync.Once
		var b *behaviour
		outcome = func(t *testing.T) behaviour {
			t.Helper()
			once.Do(func() {
				first := p.runNewOnHost(t)
				b = &first
			})
			if b == nil {
				t.Fatal("the program could not be run on the host by another test")
			}
			return *b
		}
		hostRuns.outcome[p.path] = outcome
	}
	hostRuns.mu.Unlock()
	return outcome(t)
}

func (p *programArchive) runNewOnHost(t *testing.T) behaviour {
	dir := must(filepath.EvalSymlinks(t.TempDir()))(t)
	for name, content := range p.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), p.bin)
	cmd.Args = append([]string{p.argv0, p.file}, p.args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(p.stdin), &stdout, &stderr
	cmd.Env = append([]string{"PATH=" + filepath.Dir(p.bin) + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "LANG=C.UTF-8"}, p.env...)
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	show := func(b []byte) string {
		// In the sandbox, the path of the working directory is /work. The server
		// replaces each invalid byte of the output by U+FFFD.
		return string([]rune(strings.ReplaceAll(string(b), dir, "/work")))
	}
	b := behaviour{Stdout: show(stdout.Bytes()), Stderr: withoutPID(show(stderr.Bytes())), ExitCode: cmd.ProcessState.ExitCode()}
	if b.ExitCode < 0 {
		b.Signal = signalNames[int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())]
	}
	return b
}
