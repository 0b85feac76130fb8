// Command simulate computes how a deployment of several machines behaves at a given
// rate of runs. It prints which part of the deployment reaches its maximum first.
//
// The command is a discrete-event simulation. Requests arrive at random times (a
// Poisson process), and some users are more active than others (Zipf's law). The costs
// of each part are measured constants (see costs.go). The command is a tool for
// developers and operators. It is not part of the product.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const usage = `Usage: simulate [flags]

Simulates a deployment for each rate. Without --servers and --workers, each
deployment has as many machines as the rate needs.`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "simulate: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var d deployment
	rates := flags.String("rates", "100,1000,10000,100000,1000000", "simulate these `rates`, in runs a second")
	flags.IntVar(&d.Servers, "servers", 0, "number of API servers; 0 means as many as needed")
	flags.IntVar(&d.Workers, "workers", 0, "number of workers; 0 means as many as needed")
	flags.IntVar(&d.Brokers, "nats", 0, "number of NATS servers; 0 means as many as needed")
	flags.IntVar(&d.Logs, "logs", 1, "number of databases, each with its own audit log; the product supports one")
	flags.IntVar(&d.Cores, "cores", 32, "processors of each machine")
	flags.Float64Var(&d.MemoryGiB, "memory", 128, "memory of each worker, in `GiB`")
	flags.IntVar(&d.UsersPerRate, "users-per-rate", 50, "number of users for each run a second")
	runs := flags.Int("runs", 200_000, "number of runs to simulate for each rate")
	seed := flags.Uint64("seed", 1, "seed of the random numbers")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w; see --help", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	case min(d.Cores, d.Logs, d.UsersPerRate) < 1, *runs < 4, min(d.Servers, d.Workers, d.Brokers) < 0, !(d.MemoryGiB > 0):
		return errors.New("a number of machines, processors, users or runs is too small; see --help")
	}
	fmt.Fprintln(w, heading)
	for _, text := range strings.Split(*rates, ",") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || !(rate > 0 && rate <= 1e7) {
			return fmt.Errorf("rate %q is not a number between 0 and 10,000,000", text)
		}
		fmt.Fprintln(w, simulate(d, rate, *runs, *seed))
	}
	return nil
}
