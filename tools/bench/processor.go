package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
)

//go:embed kernels.py
var kernels string

// kernelTimes contains the times of the programs in kernels.py, either inside or
// outside a sandbox. The field "computing" contains the times of programs that compute.
// The field "allocating" contains the times of programs that allocate memory. The field
// "all" contains the sums of both.
type kernelTimes struct{ all, computing, allocating *series }

func newBusy(name string) kernelTimes {
	of := func() *series { return &series{name: name, unit: seconds} }
	return kernelTimes{all: of(), computing: of(), allocating: of()}
}

// The method "measured" returns a subject for the alternating measurements. The subject
// runs kernels.py with the given function and collects the times.
func (b kernelTimes) measured(run func(context.Context) (string, error)) subject {
	return subject{b.all, func(ctx context.Context) ([]float64, error) {
		out, err := run(ctx)
		if err != nil {
			return nil, err
		}
		var took struct{ Computing, Allocating float64 }
		if err := json.Unmarshal([]byte(out), &took); err != nil {
			return nil, fmt.Errorf("the kernels printed %q: %w", out, err)
		}
		b.computing.add([]float64{took.Computing})
		b.allocating.add([]float64{took.Allocating})
		return []float64{took.Computing + took.Allocating}, nil
	}}
}

// The method "output" runs a program outside a sandbox and returns its standard output.
func (p python) output(ctx context.Context, code string) (string, error) {
	cmd := exec.CommandContext(ctx, p.path, "-c", code)
	cmd.Env = environment()
	out, err := cmd.Output()
	return string(out), err
}
