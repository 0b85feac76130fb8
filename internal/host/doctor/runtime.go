package doctor

import (
	"context"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// Runtime runs a program on a custom image. versions lists its interpreters.
func Runtime(ctx context.Context, d pyth.Dispatcher, name pyth.Runtime, language pyth.Language, versions string) Finding {
	j := job("print(6 * 7)")
	if language == pyth.JavaScript {
		j = job("console.log(6 * 7)")
	}
	j.Language, j.Runtime = language, name
	o, err := pyth.Dispatch(ctx, d, j, nil)
	if err == nil && (o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n") {
		err = fmt.Errorf("a trial run ended as %s and printed %.200q", o.Status, o.Stderr)
	}
	if err != nil {
		return NoRuntime(name, err)
	}
	return Finding{Name: "runtime", Level: OK, Detail: fmt.Sprintf("%s runs programs with %s", name, versions)}
}

// NoRuntime reports why a custom image cannot be used.
func NoRuntime(name pyth.Runtime, reason error) Finding {
	return Finding{
		Name: "runtime", Level: Failure, Detail: fmt.Sprintf("%s does not run: %v", name, reason),
		Fix: "repair its root file system, or leave out its --runtime; docs/runtimes.md lists the requirements",
	}
}
