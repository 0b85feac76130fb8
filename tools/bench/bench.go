package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
)

// bench contains the state of one benchmark run.
type bench struct {
	plan     plan
	progress progress
	results  *results

	binary string
	// warmData, coldData and auditData are the data directories of the different
	// servers that the benchmark starts.
	warmData, coldData, auditData string
	// coldKey is an API key for the servers that use the data directory coldData.
	coldKey string
	// The interpreter "embedded" is the Python in the server's image. The interpreter
	// "reference" is the host's Python, or "embedded" if the host has no Python. The
	// benchmark runs both outside a sandbox, and compares the server with "reference".
	reference, embedded python

	gvisor runsc
	// dify is the dify-sandbox server to measure. It is nil if there is no such server.
	dify *difyServer

	bare, bareEmbedded         command
	bareImporting              command
	bareNode                   command
	bubblewrap                 command
	runscDirectory, runscImage command
}

// prepare creates all images, commands and data directories that the measurements need.
// It creates them in the directory dir.
func prepare(ctx context.Context, binary, dir string, how plan, p progress) (*bench, error) {
	b := &bench{plan: how, progress: p, binary: binary, warmData: filepath.Join(dir, "warm"), coldData: filepath.Join(dir, "cold"), auditData: filepath.Join(dir, "audit")}
	p.step("Making the sandbox image")
	s, err := startServer(ctx, binary, b.warmData)
	if err != nil {
		return nil, err
	}
	if err := s.stop(); err != nil {
		return nil, err
	}
	image, err := findImage(b.warmData)
	if err != nil {
		return nil, err
	}
	p.step("Unpacking the image for commands outside")
	rootfs := filepath.Join(dir, "rootfs")
	if err := errors.Join(unpack(image, rootfs), linkImage(image, b.coldData), linkImage(image, b.auditData)); err != nil {
		return nil, err
	}
	if err := b.findPythons(ctx, rootfs); err != nil {
		return nil, err
	}
	b.results = newResults(b.reference, b.embedded)
	executable, err := findExecutable(b.warmData)
	if err != nil {
		return nil, err
	}
	b.gvisor = runsc{binary: executable, dir: dir, ids: new(atomic.Int64)}
	return b, b.findCommands(ctx, image, rootfs)
}

// findPythons sets the fields "embedded" and "reference". If the host has no Python,
// "reference" is also the embedded Python.
func (b *bench) findPythons(ctx context.Context, rootfs string) (err error) {
	if b.embedded, err = findPython(ctx, "embedded", filepath.Join(rootfs, "usr/local/bin/python3")); err != nil {
		return err
	}
	b.reference = b.embedded
	if _, err := os.Stat(hostInterpreter); err == nil {
		b.reference, err = findPython(ctx, "the host's", hostInterpreter)
		return err
	}
	return nil
}

// findCommands prepares all commands to measure. It runs each command once, so that the
// command's files are in the page cache. If a command fails on this machine, its series
// gets a missingReason.
func (b *bench) findCommands(ctx context.Context, image, rootfs string) (err error) {
	b.bare, b.bareEmbedded = b.reference.command(program), b.embedded.command(program)
	b.bareImporting = b.reference.command(importing)
	b.bareNode = node(rootfs)
	if b.runscDirectory, err = b.gvisor.directory(ctx, rootfs); err != nil {
		return err
	}
	if b.runscImage, err = b.gvisor.image(ctx, image); err != nil {
		return err
	}
	if b.bubblewrap, err = bubblewrap(b.reference); err != nil {
		b.results.bubblewrap.missingReason = err.Error()
	}
	for _, one := range []struct {
		of      *series
		command command
	}{
		{b.results.bare, b.bare},
		{b.results.embedded, b.bareEmbedded},
		{b.results.bareImporting, b.bareImporting},
		{b.results.bareNode, b.bareNode},
		{b.results.bubblewrap, b.bubblewrap},
		{b.results.runscDirectory, b.runscDirectory},
		{b.results.runscImage, b.runscImage},
	} {
		if one.of.missingReason != "" {
			continue
		}
		if _, err := one.command.untilEnded(ctx); err != nil {
			one.of.missingReason = err.Error()
		}
	}
	b.results.pacedNode.missingReason, b.results.nodeCgroup.missingReason = b.results.bareNode.missingReason, b.results.bareNode.missingReason
	b.results.eightBubblewraps.missingReason = b.results.bubblewrap.missingReason
	b.results.coldRunsc.missingReason = b.results.runscDirectory.missingReason
	for _, n := range parallelCounts(runtime.NumCPU()) {
		b.results.parallelRunsc = append(b.results.parallelRunsc, &series{
			name: fmt.Sprintf("`runsc run`, %d at once", n), unit: perSecond, missingReason: b.results.runscDirectory.missingReason,
		})
	}
	return ctx.Err()
}

// parallelCounts returns how many commands to run in parallel in each measurement. The
// numbers range from one command per processor to two commands per processor. No number
// is less than two.
func parallelCounts(processors int) []int {
	most := max(2*processors, 2)
	var tried []int
	for n := max(processors, 2); n <= most; n += max(processors/2, 1) {
		tried = append(tried, n)
	}
	return tried
}

func (b *bench) measure(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{b.measureWarmServer, b.measureSessions, b.measurePackages, b.measureDispatch, b.measureNode, b.measureNumPy, b.measureGenerate, b.measureWithoutPool, b.coldStarts, b.auditLog, b.measureRecords} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// serve starts a server, runs one phase of the benchmark with this server, and stops
// the server.
func (b *bench) serve(ctx context.Context, data string, flags []string, phase func(*server) error) (err error) {
	s, err := startServer(ctx, b.binary, data, flags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return phase(s)
}
