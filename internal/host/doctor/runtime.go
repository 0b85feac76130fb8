package doctor

import (
	"context"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// Runtime executes a program in a custom image and returns a finding about the image. The
// parameter "versions" is a string that contains the versions of the interpreters in the
// image.
func Runtime(ctx context.Context, d pyth.Dispatcher, name pyth.Runtime, language pyth.Language, versions string) Finding {
	j := job("print(6 * 7)")
	if language == pyth.JavaScript {
		j = job("console.log(6 * 7)")
	}
	j.Language, j.Runtime = language, name
	o, err := pyth.Dispatch(ctx, d, j, nil)
	if err == nil && (o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n") {
		err = fmt.Errorf("the trial program ended with status %s and printed %.200q", o.Status, o.Stderr)
	}
	if err != nil {
		return NoRuntime(name, err)
	}
	return Finding{Name: "runtime", Level: OK, Detail: fmt.Sprintf("%s runs programs with %s", name, versions)}
}

// NoRuntime returns the finding that a custom image cannot be used. The finding contains
// the reason.
func NoRuntime(name pyth.Runtime, reason error) Finding {
	return Finding{
		Name: "runtime", Level: Failure, Detail: fmt.Sprintf("%s does not run: %v", name, reason),
		Fix: "fix the root file system, or remove the --runtime flag of this image; docs/runtimes.md lists the requirements",
	}
}
