// Command bench measures how long Python programs take in Pyth-On and in other tools.
// It compares the ratios of these times with the goals of the project.
//
// The command measures all subjects one after the other, in several rounds. So other
// load on the machine affects all subjects equally. If a program prints a wrong answer,
// the benchmark ends with an error. The command reports a missed goal, but this is not
// an error. The command is for developers and is not part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
)

const usage = `Usage: bench [flags]

Measures a built Pyth-On against bare Python, bubblewrap and plain gVisor, and
prints the ratios. A run takes about fourteen minutes; let the machine be idle.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted:
		os.Exit(130)
	default:
		fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	// Print nothing while the flags are parsed. The function "main" prints errors, and
	// the function "run" prints the help on standard output.
	flags.SetOutput(io.Discard)
	quick := flags.Bool("quick", false, "measure for three minutes only; the figures are rough")
	binary := flags.String("binary", "bin/pyth-on", "the `program` to measure")
	write := flags.String("write", "", "write the report to this `file` as well")
	profile := flags.String("profile", "", "instead of measuring, write a CPU profile of gVisor to this `file`, as it starts interpreters")
	dify := flags.String("dify-sandbox", "", "also measure the dify-sandbox server at this `URL`")
	difyKey := flags.String("dify-sandbox-key", "dify-sandbox", "the API key of the dify-sandbox server")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(os.Stdout, usage)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w; see --help", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	}
	how := fullPlan()
	if *quick {
		how = quickPlan()
	}
	path, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pyth-on-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(dir)) }()
	started := time.Now()
	conditions, err := examine(ctx, path, started)
	if err != nil {
		return err
	}
	b, err := prepare(ctx, path, dir, how, newProgress(os.Stderr))
	if err != nil {
		return err
	}
	if conditions.GVisor, err = gvisorVersion(b.gvisor.binary); err != nil {
		return err
	}
	if *dify != "" {
		b.dify = &difyServer{&account{api: newAPI(strings.TrimSuffix(*dify, "/")), key: *difyKey}}
		b.results.dify.missingReason = ""
	}
	if *profile != "" {
		return b.profile(ctx, *profile)
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	r := report{Machine: conditions, Quick: *quick, Duration: time.Since(started), Python: b.reference.label, Rows: b.results.rows(conditions.Cores), Missing: b.results.missing()}
	if err := r.table(os.Stdout, isatty.IsTerminal(os.Stdout.Fd())); err != nil || *write == "" {
		return err
	}
	return writeFile(*write, r.markdown)
}

func remove(dir string) error {
	releaseState(dir)
	return os.RemoveAll(dir)
}

// writeFile creates or replaces the file with the output of the function "render". If
// this function fails, an existing file does not change.
func writeFile(path string, render func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".bench-")
	if err != nil {
		return err
	}
	err = errors.Join(render(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
