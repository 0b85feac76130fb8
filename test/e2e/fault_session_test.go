package e2e_test

import (
	"strings"
	"testing"
)

// step is one run in a session and its expected result.
type step struct {
	code string
	// request contains additional fields of the request.
	request object
	// stdout is the expected standard output. stderr is a string that must occur on
	// standard error.
	stdout, stderr string
	// exit is the expected exit code.
	exit int
	// The field "raises" is the expected name of the error, or "" if no error is
	// expected.
	raises string
	// line is the expected line number of the error. If it is 0, any line number is
	// allowed.
	line int
	// The field "shows" is the text of the only expected result. If it is "", no result
	// is expected.
	shows string
}

// runSteps runs the steps in a new Python session. No step may end the session.
func (a *account) runSteps(t *testing.T, steps ...step) {
	t.Helper()
	s := a.openSession(t, object{})
	for i, c := range steps {
		more := c.request
		if more == nil {
			more = object{}
		}
		x := s.runCode(t, c.code, more)
		if x.SessionEnded {
			t.Fatalf("step %d, %q: the session has ended: %s", i, c.code, x)
		}
		if x.ExitCode == nil || *x.ExitCode != c.exit || x.Stdout != c.stdout || !strings.Contains(x.Stderr, c.stderr) {
			t.Errorf("step %d, %q: want exit code %d, stdout %q, stderr with %q: got %s", i, c.code, c.exit, c.stdout, c.stderr, x)
		}
		for _, own := range []string{"/pyth-on/", "usercustomize", "session.py"} {
			if strings.Contains(x.Stderr+x.Stdout, own) {
				t.Errorf("step %d, %q: the output shows %s: %s", i, c.code, own, x)
			}
		}
		switch {
		case c.raises == "" && x.Error != nil, c.raises != "" && (x.Error == nil || x.Error.Name != c.raises):
			t.Errorf("step %d, %q: want error %q: got %+v", i, c.code, c.raises, x.Error)
		case c.line != 0 && x.Error.Line != c.line:
			t.Errorf("step %d, %q: want line %d: got %+v", i, c.code, c.line, x.Error)
		}
		if c.shows != "" && (len(x.Results) != 1 || x.Results[0]["text/plain"] != c.shows) {
			t.Errorf("step %d, %q: want result %s: got %v", i, c.code, c.shows, x.Results)
		}
	}
	s.runCode(t, "pass").prints(t, "")
}
