package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// compatibilityVariable is the name of an environment variable. If the variable is set,
// the test compares all modules, which takes some minutes, and writes a page to the
// path in the variable. Without the variable, the test compares only the modules that
// testdata/compatibility/modules marks as quick.
const compatibilityVariable = "COMPATIBILITY"

// moduleTime is the time limit for the tests of one module.
const moduleTime = 5 * time.Minute

// TestExecutePassesCPythonTests runs CPython's regression tests in a sandbox and on the
// host. Both runs use the same files from Debian. Each test must have the same result
// in both places. testdata/compatibility/differences lists the exceptions and their
// reasons.
func TestExecutePassesCPythonTests(t *testing.T) {
	t.Parallel()
	report := os.Getenv(compatibilityVariable)
	var modules []string
	for line := range strings.Lines(string(must(os.ReadFile("testdata/compatibility/modules"))(t))) {
		name, mark, _ := strings.Cut(strings.TrimSpace(line), " ")
		if report != "" || mark == "quick" {
			modules = append(modules, name)
		}
	}
	program := string(must(os.ReadFile("testdata/compatibility/run.py"))(t))
	known := knownDifferences(t)
	outside := unpackOnHost(t, must(plainDebian.tar())(t))
	// The modules use much processor time. With the default limits, many modules would
	// run in new interpreters, so set high limits. A module still runs in a new interpreter
	// if the previous module made a call that prevents restoring.
	s := startServer(t, plainDebian.flag(t), "--max-timeout=10m", "--rollback-runs=1000000", "--rollback-cpu=1000h")
	a := s.register(t)

	var mu sync.Mutex
	all := make(map[string][]difference)
	total := 0
	var group errgroup.Group
	group.SetLimit(2)
	for _, module := range modules {
		group.Go(func() error {
			want, differ := compareModule(t, a, outside, program, module)
			mu.Lock()
			defer mu.Unlock()
			if slices.ContainsFunc(differ, func(d difference) bool { return known.reason(d.test) == "" }) {
				// Some tests of CPython have time limits and can fail on a busy
				// machine. So a new difference counts only if it occurs a second time.
				_, again := compareModule(t, a, outside, program, module)
				differ = slices.DeleteFunc(differ, func(d difference) bool {
					return known.reason(d.test) == "" && !slices.ContainsFunc(again, func(other difference) bool { return other.test == d.test })
				})
			}
			total += len(want)
			if len(want) == 0 {
				t.Errorf("%s has no tests", module)
			}
			for _, d := range differ {
				d.reason = known.reason(d.test)
				if all[module] = append(all[module], d); d.reason == "" {
					t.Errorf("%s: %q on the host, %q in the sandbox", d.test, d.outside, d.inside)
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	t.Logf("%d tests of %d modules", total, len(modules))
	interpreters := s.interpreters(t)
	t.Logf("interpreters by the reason why they were not restored: %v", interpreters)
	if interpreters["none"] == "0" || interpreters["failed"] != "0" {
		t.Error("no interpreter was restored, or one could not be restored")
	}
	if report == "" {
		return
	}
	for pattern, k := range known {
		if !k.used && !strings.HasPrefix(k.reason, "At times") {
			t.Errorf("%s is listed as a difference, but did not occur", pattern)
		}
	}
	if err := os.WriteFile(report, renderDifferences(modules, total, all), 0o644); err != nil {
		t.Error(err)
	}
}

type outcomes map[string]string

// difference is a test that has different outcomes on the host and in the sandbox. The
// field "outside" is the outcome on the host, and "inside" is the outcome in the
// sandbox.
type difference struct{ test, outside, inside, reason string }

// outcomeKind returns the first part of an outcome, without the details.
func outcomeKind(outcome string) string {
	kind, _, _ := strings.Cut(outcome, ":")
	return kind
}

// compareModule runs the tests of a module on the host and in the sandbox. It returns
// the outcomes on the host, and the differences between host and sandbox.
func compareModule(t *testing.T, a *account, root, program, module string) (outcomes, []difference) {
	want := runModuleOnHost(t, root, program, module)
	return want, compareOutcomes(want, runModuleInSandbox(t, a, program, module))
}

func compareOutcomes(want, got outcomes) []difference {
	var all []difference
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d := difference{test: name, outside: want[name], inside: got[name]}
		if outcomeKind(d.outside) != outcomeKind(d.inside) {
			all = append(all, d)
		}
	}
	return all
}

// knownDifference is an expected difference. The field "used" is true if the difference
// has occurred.
type knownDifference struct {
	reason string
	used   bool
}

// differences maps names of tests to known differences. A name can end in *. Such a
// name stands for all tests whose names begin with the part before the *.
type differences map[string]*knownDifference

func knownDifferences(t *testing.T) differences {
	t.Helper()
	known := make(differences)
	for line := range strings.Lines(string(must(os.ReadFile("testdata/compatibility/differences"))(t))) {
		pattern, reason, found := strings.Cut(strings.TrimSpace(line), " ")
		if found && !strings.HasPrefix(pattern, "#") {
			known[pattern] = &knownDifference{reason: strings.TrimSpace(reason)}
		}
	}
	return known
}

func (all differences) reason(test string) string {
	for pattern, k := range all {
		start, many := strings.CutSuffix(pattern, "*")
		if test == pattern || many && strings.HasPrefix(test, start) {
			k.used = true
			return k.reason
		}
	}
	return ""
}

func runModuleInSandbox(t *testing.T, a *account, program, module string) outcomes {
	x := a.execute(t, object{
		"runtime": "debian", "code": program, "args": []string{module}, "outputFiles": []string{"outcomes.json"},
		"timeoutMs": moduleTime.Milliseconds(), "results": false,
		"limits": object{"memoryBytes": 1 << 30, "diskBytes": 512 << 20, "processes": 256},
	})
	if x.Status != "succeeded" {
		return outcomes{module: fmt.Sprintf("failed: the run ended as %s: %s", x.Status, x.Stderr)}
	}
	return decodeOutcomes(t, x.fileContent(t, "outcomes.json"))
}

func decodeOutcomes(t *testing.T, b []byte) outcomes {
	var all outcomes
	if err := json.Unmarshal(b, &all); err != nil {
		t.Errorf("%v in %.200s", err, b)
	}
	return all
}

// unpackOnHost unpacks the image's root file system into a new directory and returns
// the path of this directory. It also adds the files that every sandbox contains.
func unpackOnHost(t *testing.T, tar string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "tar", "-xf", tar, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, d := range []string{"proc", "dev", "work", "tmp", "home/sandbox"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"passwd":        "root:x:0:0:root:/root:/bin/sh\nsandbox:x:1000:1000:sandbox:/home/sandbox:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"group":         "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
		"hosts":         "127.0.0.1 localhost sandbox\n::1 localhost\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runModuleOnHost runs the tests of a module on the host, as similar as possible to a
// run in the sandbox. The tests have no root rights and no network, and use the same
// files at the same paths.
func runModuleOnHost(t *testing.T, root, program, module string) outcomes {
	work := must(os.MkdirTemp(t.TempDir(), ""))(t)
	if err := os.WriteFile(filepath.Join(work, "main.py"), []byte(program), 0o644); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		for _, name := range []string{work, filepath.Join(work, "main.py")} {
			if err := os.Chown(name, 1000, 1000); err != nil {
				t.Error(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), moduleTime)
	defer cancel()
	args := []string{
		"--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--hostname", "sandbox",
	}
	become := "import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)); "
	if os.Getuid() == 0 {
		become += "os.setgroups([]); os.setgid(1000); os.setuid(1000); "
	} else {
		args = append(args, "--unshare-user", "--uid", "1000", "--gid", "1000")
	}
	args = append(args,
		"--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp", "--bind", work, "/work",
		"--perms", "0777", "--tmpfs", "/home/sandbox", "--chdir", "/work", "--clearenv",
		"--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", "/home/sandbox", "--setenv", "LANG", "C.UTF-8")
	args = append(args, "/usr/bin/python3", "-c", fmt.Sprintf("%sos.execv('/usr/bin/python3', ['python3', 'main.py', %q])", become, module))
	cmd := exec.CommandContext(ctx, "bwrap", args...)
	cmd.Stdin = bytes.NewReader(nil)
	if out, err := cmd.CombinedOutput(); err != nil {
		return outcomes{module: fmt.Sprintf("failed: %v: %s", err, out)}
	}
	b, err := os.ReadFile(filepath.Join(work, "outcomes.json"))
	if err != nil {
		return outcomes{module: "failed: " + err.Error()}
	}
	return decodeOutcomes(t, b)
}

func renderDifferences(modules []string, total int, all map[string][]difference) []byte {
	var b bytes.Buffer
	differ := 0
	reasons := make(map[string][]difference)
	for _, module := range slices.Sorted(maps.Keys(all)) {
		for _, d := range all[module] {
			reasons[d.reason] = append(reasons[d.reason], d)
			differ++
		}
	}
	fmt.Fprintf(&b, `# Compatibility

This page lists the differences between Python in a sandbox and Python on the host. We find the
differences with CPython's own regression tests, from Debian's package for Python 3.11 (libpython3.11-testsuite). Each test
runs inside and outside of a sandbox, with the same files and paths, as an ordinary user and without a
network.

Of %d tests in %d modules, %d have a different result in a sandbox than on the host. The heading above each table
says why.

A test writes this page. The test fails if it finds a difference without a known reason. The script
`+"`scripts/compatibility`"+` runs the test with all modules, and `+"`make test`"+` runs it with some modules.

`, total, len(modules), differ)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&b, "## %s\n\n| test | outside | inside |\n|---|---|---|\n", reason)
		for _, d := range reasons[reason] {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimPrefix(d.test, "test."), outcomeText(d.outside), outcomeText(d.inside))
		}
		b.WriteString("\n")
	}
	b.WriteString("## The modules\n\n```\n")
	line := ""
	for _, m := range modules {
		if len(line)+len(m) > 78 {
			b.WriteString(line + "\n")
			line = ""
		}
		line = strings.TrimSpace(line+" "+m) + ","
	}
	fmt.Fprintf(&b, "%s\n```\n", strings.TrimSuffix(line, ","))
	return b.Bytes()
}

func outcomeText(outcome string) string {
	if outcome == "" {
		return "not run"
	}
	outcome = strings.Join(strings.Fields(outcome), " ")
	if len(outcome) > 100 {
		outcome = strings.ToValidUTF8(outcome[:100], "") + "…"
	}
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(outcome)
}
