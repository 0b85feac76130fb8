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

// tellState is a program in Python that tells the names and types of what a
// session has defined, and defines nothing itself.
const tellState = `__import__("sys").stdout.write(__import__("json").dumps([` +
	`[n, (type(v).__module__ + "." + type(v).__qualname__).removeprefix("builtins.")] ` +
	`for n, v in list(globals().items()) if isinstance(n, str) and not n.startswith("_")][-200:]))` + "\n"

// state is what the session has defined; nothing if it does not say. It is an
// error only where a run in the session would be one, too.
func (w *work) state(ctx context.Context) ([]variable, error) {
	run, err := w.config.Executions.Execute(ctx, w.user, &pyth.Program{
		Language: pyth.Python, Code: tellState, Session: w.request.Session, Timeout: stateTimeout, Secrets: []string{},
	}, nil)
	if err != nil {
		return nil, err
	}
	return w.variables(run.Stdout), nil
}

// variables reads what the session printed, which may be anything.
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
