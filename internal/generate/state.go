package generate

import (
	"context"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	stateTimeout = 5 * time.Second
	maxName      = 100
)

// stateProgram is a Python program that prints the variables of a session as JSON, with
// their names and types. It adds no variables to the session.
const stateProgram = `__import__("sys").stdout.write(__import__("json").dumps([` +
	`[n, (type(v).__module__ + "." + type(v).__qualname__).removeprefix("builtins.")] ` +
	`for n, v in list(globals().items()) if isinstance(n, str) and not n.startswith("_")][-200:]))` + "\n"

// state returns the variables of the session. It returns nil if the output of the session
// is not valid JSON. If state returns an error, the session cannot run programs.
func (w *work) state(ctx context.Context) ([]variable, error) {
	run, err := w.config.Executions.Execute(ctx, w.user, &pyth.Program{
		Language: pyth.Python, Code: stateProgram, Session: w.request.Session, Timeout: stateTimeout, Secrets: []string{},
	}, nil)
	if err != nil {
		return nil, err
	}
	return w.variables(run.Stdout), nil
}

// variables parses the output of stateProgram. Code in the session can fake this output.
// So the function limits the length of the output and redacts secret values.
func (w *work) variables(printed []byte) []variable {
	var pairs [][2]string
	if json.Unmarshal(printed, &pairs) != nil {
		return nil
	}
	var all []variable
	for _, p := range pairs[:min(len(pairs), maxListed)] {
		all = append(all, variable{cut(w.hide(p[0]), maxName), cut(w.hide(p[1]), maxName)})
	}
	return all
}
