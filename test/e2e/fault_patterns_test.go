package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// makeTree is a program that creates the files for patternCases.
const makeTree = `
import os
for p in ('a.txt', 'b.csv', 'out/c.txt', 'out/d/e.txt', 'out/d/f.csv', 'x{1}.txt'):
    os.makedirs(os.path.dirname(p) or '.', exist_ok=True)
    open(p, 'w').write(p);
`

// patternCases contains patterns for output files. For each pattern, it lists the files
// of makeTree that match.
var patternCases = []struct {
	patterns []string
	files    string
}{
	{[]string{"./a.txt"}, "a.txt"},
	{[]string{"././out//c.txt"}, "out/c.txt"},
	{[]string{"out/./d/*.txt"}, "out/d/e.txt"},
	{[]string{"out/"}, "out/c.txt out/d/e.txt out/d/f.csv"},
	{[]string{"./out/d/"}, "out/d/e.txt out/d/f.csv"},
	{[]string{"./**/*.csv"}, "b.csv out/d/f.csv"},
	{[]string{"{./a,./b}.*"}, "a.txt b.csv"},
	{[]string{"."}, "a.txt b.csv out/c.txt out/d/e.txt out/d/f.csv x{1}.txt"},
	{[]string{`x\{1\}.txt`, "nothing"}, "x{1}.txt"},
	{[]string{"{out/d,none}/*"}, "out/d/e.txt out/d/f.csv"},
}

func TestExecuteOutputPatternsSelectFiles(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	s.runCode(t, makeTree).ends(t, "succeeded")
	js := a.openSession(t, object{"language": "javascript"})
	js.runCode(t, "const { execSync } = require('child_process'); execSync(`mkdir -p out/d; for f in a.txt b.csv out/c.txt out/d/e.txt out/d/f.csv x{1}.txt; do echo > $f; done`);",
		object{"language": "javascript"}).ends(t, "succeeded")
	for _, c := range patternCases {
		want := strings.Fields(c.files)
		request := object{"outputFiles": c.patterns}
		for where, x := range map[string]*execution{
			"a run":             a.execute(t, object{"code": makeTree, "outputFiles": c.patterns}),
			"a session":         s.runCode(t, "None", request),
			"a session of Node": js.runCode(t, ";", request, object{"language": "javascript"}),
		} {
			if got := x.ends(t, "succeeded").filePaths(); !slices.Equal(got, want) || len(x.FilesSkipped) > 0 {
				t.Errorf("%q in %s: got %q, want %q: %s", c.patterns, where, got, want, x)
			}
		}
	}
	x := a.execute(t, object{"code": makeTree, "outputFiles": []string{"out", "main.py", "a.txt"}}).ends(t, "succeeded")
	for _, name := range []string{"main.py", "./main.py"} {
		// In a session, main.py is an ordinary file. The program may write it.
		if x := s.runCode(t, "open('main.py', 'w').write('mine')", object{"outputFiles": []string{name}}); string(x.fileContent(t, "main.py")) != "mine" || len(x.FilesSkipped) > 0 {
			t.Error(x)
		}
	}
	if !strings.Contains(x.skipReason("out"), "directory") || !strings.Contains(x.skipReason("main.py"), "program") || len(x.Files) != 1 {
		t.Error(x)
	}
}

func TestExecuteRefusesImpossiblePatterns(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	for _, pattern := range []string{"/work/a.txt", "/a*", "../a", "out/../a.txt", "..", "*/../*", "{/a,../b}", "{../a,../b}", "[/]", "[a", "{a", "a}", `a\`, ""} {
		for _, request := range []object{{}, {"sessionId": s.ID}} {
			request["code"], request["outputFiles"] = "1", []string{"*", pattern}
			p := a.server.call(t, a, "POST", "/api/v1/execute", request).refused(t, 400, "invalid_request")
			if len(p.Errors) != 1 || p.Errors[0].Location != "body.outputFiles[1]" {
				t.Errorf("%q: %+v", pattern, p)
			}
		}
	}
}

// TestExecuteMatchesPatternsInLinearTime uses patterns with many wildcards and
// alternatives. A matcher with backtracking would need exponential time for these
// patterns.
func TestExecuteMatchesPatternsInLinearTime(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	patterns := []string{
		strings.Repeat("{a,a}", 60) + "b",
		strings.Repeat("{a,aa,*}", 100) + "b",
		strings.Repeat("*a", 400) + "b",
		strings.Repeat("{{a,a},{a,a}}", 70) + "b",
		strings.Repeat("**/", 300) + "b",
		strings.Repeat("*{a,?}", 150) + "b",
	}
	for _, pattern := range patterns {
		request := object{"code": "open('a' * 200, 'w').write('x'); open('ok', 'w').write('x'); None", "outputFiles": []string{pattern, "ok"}, "timeoutMs": 60_000}
		if x := a.execute(t, request).ends(t, "succeeded"); !slices.Equal(x.filePaths(), []string{"ok"}) {
			t.Errorf("%.20s: %s", pattern, x)
		}
		request["sessionId"] = s.ID
		if x := s.execute(t, request).ends(t, "succeeded"); !slices.Equal(x.filePaths(), []string{"ok"}) {
			t.Errorf("%.20s in a session: %s", pattern, x)
		}
	}
}

// TestExecuteCollectsFilesWithinTimeout uses so many files and patterns that the server
// cannot match all of them in time. The status of the run must still be the status of
// the program.
func TestExecuteCollectsFilesWithinTimeout(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	var patterns []string
	for range 60 {
		patterns = append(patterns, strings.Repeat("{a,aa,*}", 100)+"b")
	}
	code := "import os\nfor i in range(200):\n    for d in ('a' * 250 + '/') * 3,:\n        os.makedirs(d, exist_ok=True); open(d + 'a' * 200 + str(i), 'w').close()\nprint('done')"
	request := object{"code": code, "outputFiles": patterns, "timeoutMs": 8000}
	for _, x := range []*execution{a.execute(t, request), a.openSession(t, object{}).runCode(t, code, request)} {
		x.prints(t, "done\n")
		if !strings.Contains(x.skipReason("…"), "time") || x.Usage.WallMs > 30_000 {
			t.Error(x)
		}
	}
}
