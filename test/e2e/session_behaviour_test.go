package e2e_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"
)

var updateDifferences = flag.Bool("update-differences", false, "write what differs in sessions to testdata/session")

// These constants are reasons in the list of known differences. Each reason makes the
// comparison less strict.
const (
	// reasonAnyEnd allows any exit code in the session.
	reasonAnyEnd = "any-end"
	// reasonAtTimes marks a difference that occurs only in some runs.
	reasonAtTimes = "at-times"
	// reasonFault allows any difference.
	reasonFault = "fault"
	// reasonInterrupt allows exit code 0, because the interrupt can arrive after the
	// last statement of the run.
	reasonInterrupt = "interrupt"
)

// TestSessionPythonBehavesAsOnHost and the two tests below run each program of
// testdata/behaviour in a new session. They compare the result with a run on the host.
//
// The file testdata/session/LANGUAGE.txtar lists the known differences. Its head
// explains the reasons, one per line ("name: explanation"). Each entry has the name of
// a program. The first line of an entry lists reasons, and the other lines contain the
// difference. The test fails if a difference is not in the list, or if a listed
// difference does not occur.
//
// The flag -update-differences writes all differences to the list. A developer must
// then add the reasons of new entries by hand.
func TestSessionPythonBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	compareInSessions(t, "behaviour", pythonOnHost(t))
}

func TestSessionJavaScriptBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	compareInSessions(t, "javascript", nodeOnHost(t, language{name: "javascript", file: "main.js"}))
}

func TestSessionTypeScriptBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	compareInSessions(t, "typescript", nodeOnHost(t, language{name: "typescript", file: "main.ts"}))
}

func compareInSessions(t *testing.T, directory string, l language) {
	archives := must(filepath.Glob("testdata/" + directory + "/*.txtar"))(t)
	list := readDifferences(t, "testdata/session/"+l.name+".txtar")
	var mu sync.Mutex
	found := make(map[string]string)
	account := sharedServer(t).register(t)
	t.Run("program", func(t *testing.T) {
		for _, archive := range archives {
			name := strings.TrimSuffix(filepath.Base(archive), ".txtar")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := parseProgram(t, archive, l)
				want, known := p.runOnHost(t), list.differences[name]
				var got string
				p.compareInSession(t, account, func(b behaviour) bool {
					if known.hasReason(reasonAnyEnd) {
						b.ExitCode, b.Signal = want.ExitCode, want.Signal
					}
					if known.hasReason(reasonInterrupt) && b.ExitCode == 0 && strings.HasPrefix(b.Stderr, "Uncaught ") {
						b.ExitCode = 1 // The interrupt came after the last statement of the run.
					}
					got = compareBehaviour(normalizeOutputs(want, b, "/work/"+p.file))
					return got == "" || !*updateDifferences && known.allows(got)
				})
				mu.Lock()
				found[name] = got
				mu.Unlock()
				if !known.allows(got) && !*updateDifferences {
					t.Errorf("listed (-) and found (+) differ:\n%s", cmp.Diff(known.text, got))
				}
			})
		}
	})
	if *updateDifferences {
		list.update(found)
		list.write(t)
	}
	for name, d := range list.differences {
		if !slices.Contains(archives, "testdata/"+directory+"/"+name+".txtar") {
			t.Errorf("%s is listed, but there is no such program", name)
		}
		for _, reason := range d.reasons {
			if _, ok := list.reasons[reason]; !ok {
				t.Errorf("%s: reason %q is not explained", name, reason)
			}
		}
		if len(d.reasons) == 0 {
			t.Errorf("%s has no reason", name)
		}
	}
}

// compareInSession runs the program in a new session. Timers and threads can still
// print after the end of a run, and the next run returns this output. So
// compareInSession runs idle programs and adds their output, until the function
// "expected" accepts the behaviour.
func (p *programArchive) compareInSession(t *testing.T, a *account, expected func(behaviour) bool) {
	s := a.openSession(t, object{"language": p.name})
	request := p.request(!p.seesResults)
	request["sessionId"], request["timeoutMs"] = s.ID, 60_000
	x := s.execute(t, request)
	b := behaviourOf(x)
	idle := "await new Promise((done) => setTimeout(done, 100))"
	if p.name == "python" {
		idle = "__import__('time').sleep(0.1)"
	}
	for range 100 {
		if expected(b) || x.SessionEnded {
			break
		}
		x = s.runCode(t, idle, object{"results": false})
		late := behaviourOf(x)
		b.Stdout, b.Stderr = b.Stdout+late.Stdout, b.Stderr+late.Stderr
		if b.ExitCode == 0 {
			b.ExitCode, b.Signal = late.ExitCode, late.Signal
		}
		if b.ExitCode == 0 && strings.HasPrefix(late.Stderr, "Uncaught ") {
			b.ExitCode = 1 // A session only prints an error that occurs between two runs.
		}
	}
	if deleted := a.server.call(t, a, "DELETE", s.path(""), nil); deleted.status != 204 && deleted.status != 404 {
		t.Errorf("delete the session: %d: %s", deleted.status, deleted.body)
	}
}

var (
	// frameOfMain matches a stack frame of the program's file. Node wraps this file
	// into a function that has no name.
	frameOfMain = regexp.MustCompile(`(?m)^( *at )(?:async )?Object\.<anonymous> \((/work/main\.[^)]*)\)`)
	// frameOfNode matches a stack frame in one of Node's own files.
	frameOfNode = regexp.MustCompile(`(?m)\n *at (?:[^\n]*\()?node:[^\n]*?\)?( \{|,)?$`)
	// sourceOfError matches the first lines that Node prints for an uncaught error: the
	// file position and the source line.
	sourceOfError = regexp.MustCompile(`(?m)^\n?(?:/work/|node:|<anonymous_script>|\[worker eval\])\S*:\d+\n.*\n *\^+\n\n?`)
	// The pattern "interruption" matches the error of an interrupted run and its stack
	// frames. If the program was waiting when the interrupt arrived, the error has no
	// stack frames.
	interruption = regexp.MustCompile("(?m)^Uncaught Error: (Script execution was interrupted by `SIGINT`)(?:\\n +at [^\\n]*?)* \\{$")
	// endOfNode matches the last lines that Node prints after an uncaught error.
	endOfNode = regexp.MustCompile(`(?:\(Use .node --trace-uncaught \.\.\.. to show where the exception was thrown\)\n)?\nNode\.js v[0-9.]+\n$`)
)

// normalizeOutputs changes the outputs of Node on the host and in a session, so that
// they can be compared. It returns both outputs.
//
// A session shows an uncaught error like Node's console: the word "Uncaught" and the
// error, but neither the source line nor Node's version. So normalizeOutputs converts
// the host's output to this form. In the session's output, it replaces the name of the
// first run by the name of the file.
//
// normalizeOutputs removes stack frames of Node, because they depend on how Node has
// loaded the program. It keeps frames of node:inspector. A session must not show these
// frames, so the comparison must find them.
func normalizeOutputs(outside, inside behaviour, file string) (behaviour, behaviour) {
	names := strings.NewReplacer("<run 1>", file, "<run-1>", file, "file://"+file, file)
	addresses := regexp.MustCompile(`\b0x[0-9a-f]{8,}\b`)
	const caller = "node:inspector"
	for _, s := range []*string{&outside.Stdout, &outside.Stderr, &inside.Stdout, &inside.Stderr} {
		*s = addresses.ReplaceAllString(names.Replace(*s), "0x…")
		*s = frameOfMain.ReplaceAllString(*s, "$1$2")
		*s = frameOfNode.ReplaceAllStringFunc(*s, func(frame string) string {
			if strings.Contains(frame, caller) {
				return frame
			}
			return frameOfNode.ReplaceAllString(frame, "$1")
		})
	}
	inside.Stderr = interruption.ReplaceAllString(inside.Stderr, "Uncaught [Error: $1] {")
	if at := endOfNode.FindStringIndex(outside.Stderr); at != nil {
		outside.Stderr = outside.Stderr[:at[0]]
		if strings.HasPrefix(inside.Stderr, "Uncaught ") || strings.Contains(inside.Stderr, "\nUncaught ") {
			if at := sourceOfError.FindStringIndex(outside.Stderr); at != nil {
				outside.Stderr = outside.Stderr[:at[0]] + "Uncaught " + outside.Stderr[at[1]:]
			}
		}
	}
	return outside, inside
}

// compareBehaviour compares the program on the host (-) and in a session (+). It
// returns the differences, or "" if there are none.
func compareBehaviour(outside, inside behaviour) string {
	var b strings.Builder
	if outside.ExitCode != inside.ExitCode || outside.Signal != inside.Signal {
		fmt.Fprintf(&b, "  end: %d%s, in a session %d%s\n", outside.ExitCode, outside.Signal, inside.ExitCode, inside.Signal)
	}
	compareStream(&b, "stdout", outside.Stdout, inside.Stdout)
	compareStream(&b, "stderr", outside.Stderr, inside.Stderr)
	return b.String()
}

func compareStream(b *strings.Builder, stream, outside, inside string) {
	lines := diff.Diff("", []byte(outside), "", []byte(inside))
	if lines == nil {
		return
	}
	fmt.Fprintf(b, "  %s:\n", stream)
	_, body, _ := strings.Cut(string(lines), "+++")
	_, body, _ = strings.Cut(body, "\n")
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || !strings.ContainsRune("-+\\", rune(line[0])) {
			continue // This line is equal in both outputs.
		}
		if quoted := strconv.QuoteToGraphic(line); quoted != `"`+line+`"` && strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
			line = line[:1] + strconv.QuoteToGraphic(line[1:])
		}
		if len(line) > 200 {
			line = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(line[:200], ""), len(line))
		}
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// sessionDifferences is the parsed content of a file in testdata/session.
type sessionDifferences struct {
	path        string
	header      []byte
	reasons     map[string]string
	differences map[string]listedDifference
}

type listedDifference struct {
	reasons []string
	text    string
}

func (d listedDifference) hasReason(reason string) bool { return slices.Contains(d.reasons, reason) }

func (d listedDifference) allows(found string) bool {
	return found == d.text || d.hasReason(reasonFault) && found != "" || d.hasReason(reasonAtTimes) && found == ""
}

func readDifferences(t *testing.T, path string) *sessionDifferences {
	t.Helper()
	list := &sessionDifferences{path: path, reasons: make(map[string]string), differences: make(map[string]listedDifference)}
	archive := must(txtar.ParseFile(path))(t)
	list.header = archive.Comment
	for line := range strings.Lines(string(archive.Comment)) {
		if name, explanation, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, " ") {
			list.reasons[name] = explanation
		}
	}
	for _, f := range archive.Files {
		reasons, text, _ := strings.Cut(string(f.Data), "\n")
		list.differences[f.Name] = listedDifference{strings.Fields(reasons), text}
	}
	return list
}

// The method "update" replaces the differences in the list by the differences that the
// test has found. It keeps the reasons in the list.
func (l *sessionDifferences) update(found map[string]string) {
	for name, text := range found {
		switch d := l.differences[name]; {
		case text == "" && (d.hasReason(reasonAnyEnd) || d.hasReason(reasonAtTimes)):
		case text == "":
			delete(l.differences, name)
		default:
			l.differences[name] = listedDifference{d.reasons, text}
		}
	}
}

func (l *sessionDifferences) write(t *testing.T) {
	t.Helper()
	archive := &txtar.Archive{Comment: l.header}
	for _, name := range slices.Sorted(maps.Keys(l.differences)) {
		d := l.differences[name]
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(strings.Join(d.reasons, " ") + "\n" + d.text)})
	}
	if err := os.WriteFile(l.path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
