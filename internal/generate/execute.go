package generate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

const maxInstalls = 5

func (w *work) program(code string) *pyth.Program {
	r := w.request
	return &pyth.Program{
		Language: w.result.Language, Code: code, Files: r.Files, Timeout: r.Timeout, Limits: r.Limits, Network: r.Network,
		Results: true, Session: r.Session, Secrets: r.Secrets, AllSecrets: r.AllSecrets,
		KeepSecrets: r.KeepSecrets, NoStore: r.NoStore, Labels: r.Labels,
	}
}

// runExcerpts describes a finished run. It contains excerpts of the run's output for the
// model.
type runExcerpts struct {
	*pyth.Execution
	stdout, stderr string
	// The field "missing" is the name of the package that the program could not import.
	// It is "" if no package is missing. The field "notInstalled" is the reason why the
	// server did not install this package.
	missing, notInstalled string
}

// execute runs the program. If the program could not import a package, and the package
// may be installed, execute installs it. Then it runs the program again.
func (w *work) execute(ctx context.Context, code string) (*runExcerpts, error) {
	for {
		run, err := w.once(ctx, code)
		if err != nil || run.Status != pyth.StatusFailed {
			return run, err
		}
		if run.missing = w.missingPackage(run.Error); run.missing == "" {
			return run, nil
		}
		if run.notInstalled = w.install(ctx, run.missing); run.notInstalled != "" {
			if !slices.Contains(w.result.MissingPackages, run.missing) {
				w.result.MissingPackages = append(w.result.MissingPackages, run.missing)
			}
			return run, ctx.Err()
		}
	}
}

func (w *work) once(ctx context.Context, code string) (*runExcerpts, error) {
	stdout, stderr := newExcerpt(w.hiding), newExcerpt(w.hiding)
	var events pyth.Events
	if w.events != nil {
		events = &recorder{w.events, stdout, stderr}
	}
	e, err := w.config.Executions.Execute(ctx, w.user, w.program(code), events)
	if err != nil {
		return nil, err
	}
	// If the caller receives events, e contains no output. In this case, the recorder has
	// already written the output to the excerpts.
	stdout.write(e.Stdout)
	stderr.write(e.Stderr)
	return &runExcerpts{Execution: e, stdout: stdout.close(e.StdoutTruncated), stderr: stderr.close(e.StderrTruncated)}, nil
}

// install installs a package and returns "". If the installation fails, it returns the
// reason as a text for the model.
func (w *work) install(ctx context.Context, name string) (reason string) {
	if !w.request.InstallPackages {
		return "is not installed, and the user did not allow installing it"
	}
	if w.installs++; w.installs > maxInstalls {
		return "is not installed, and no more packages can be installed"
	}
	if err := w.config.Packages.Install(ctx, w.user, w.result.Language, []string{name}); err != nil {
		return "could not be installed"
	}
	return ""
}

// The type "outcome" describes a failed run in JSON for the model.
type outcome struct {
	Status   pyth.Status   `json:"status"`
	What     string        `json:"what,omitempty"`
	ExitCode *int          `json:"exitCode,omitempty"`
	Signal   string        `json:"signal,omitempty"`
	Error    *programError `json:"error,omitempty"`
	Stdout   string        `json:"stdout"`
	Stderr   string        `json:"stderr"`
}

type programError struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Line      int    `json:"line,omitempty"`
	Traceback string `json:"traceback"`
}

func (w *work) outcome(run *runExcerpts) string {
	o := outcome{
		Status: run.Status, What: w.explanation(run), ExitCode: run.ExitCode, Signal: run.Signal,
		Stdout: run.stdout, Stderr: run.stderr,
	}
	if e := run.Error; e != nil {
		o.Error = &programError{Name: w.excerpt(e.Name, false, true), Message: w.excerpt(e.Message, false, true), Line: e.Line, Traceback: w.excerpt(e.Traceback, true, false)}
		// Python also prints the traceback to standard error. Remove this copy, because
		// the field Error contains the traceback.
		if rest, ok := strings.CutSuffix(strings.TrimRight(o.Stderr, "\n"), strings.TrimRight(o.Error.Traceback, "\n")); ok {
			o.Stderr = rest
		}
	}
	b, _ := json.Marshal(o) // All fields can be marshaled.
	return string(b)
}

// minCut is the lowest limit, in bytes, for the truncation of the texts of an exception.
// A shorter text is always complete.
const minCut = 250

// excerpt returns a redacted excerpt of a text from an exception. The parameters "head"
// and "tail" say whether a long text may be truncated at its beginning or at its end.
func (w *work) excerpt(text string, head, tail bool) string {
	long := len(text) >= minCut
	out, _ := w.hiding.Cut([]byte(text), head && long, tail && long)
	x := newExcerpt(w.hiding)
	x.keep(out)
	return x.close(false)
}

// explanation tells the model why the run failed. It returns "" if the status and
// the error already say why.
func (w *work) explanation(run *runExcerpts) string {
	limits := w.config.Limits
	switch {
	case run.missing != "":
		return fmt.Sprintf("The package %s %s. Write the program without it.", run.missing, run.notInstalled)
	case run.Status == pyth.StatusTimedOut:
		return fmt.Sprintf("It exceeded its time-out of %d ms.", cmp.Or(w.request.Timeout, limits.DefaultTimeout).Milliseconds())
	case run.Status == pyth.StatusOutOfMemory:
		return fmt.Sprintf("It exceeded its memory limit of %d bytes.", cmp.Or(w.request.Limits.MemoryBytes, limits.Default.MemoryBytes))
	case run.Status == pyth.StatusOutputLimit:
		return fmt.Sprintf("It exceeded its output limit of %d bytes.", cmp.Or(w.request.Limits.OutputBytes, limits.Default.OutputBytes))
	case run.Status == pyth.StatusKilled:
		return "It was killed because it exceeded the limit on processes, disk or processor time."
	}
	return ""
}
