// Package agent is the first process inside a sandbox. It keeps an interpreter
// waiting in namespaces of its own, hands it a job, relays its output, ends
// whatever the job started, reports how the kernel says it ended, and then has
// the next interpreter wait in new namespaces.
//
// It promises that nothing of one run is there in the next: no process, file,
// mount, socket or System V object. It runs as root inside the sandbox and the
// user's program does not, so the program can neither signal nor trace it. It
// holds no descriptor that the program inherits.
//
// While a job runs all is done by one thread that polls: on the way to an
// answer no goroutine has to be woken.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/pyth-on/pyth-on/guest/protocol"
)

// Where things are inside the sandbox.
const (
	workDir = "/work"
	runDir  = "/run"
	// reportName is the file in runDir that a program's exception is told by.
	reportName = "report"
	// userID is the unprivileged user that programs run as.
	userID = 1000
)

// defaultDisk is how much a run may write unless its job says otherwise; a
// file system of this size is there before the job comes.
const defaultDisk = 100 << 20

// Run serves one job after the other over the control socket and returns when
// the host is gone. The sandbox ends with it.
func Run(control *os.File) error {
	// All that matters happens on one thread: none other need wake.
	runtime.LockOSThread()
	if err := restoreChildSignal(); err != nil {
		return err
	}
	hideArguments()
	conn := protocol.NewConn(control)
	if err := removeDevices(); err != nil {
		return err
	}
	for {
		switch err := next(conn, int(control.Fd())); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// next serves the next job.
func next(conn *protocol.Conn, control int) error {
	language, err := receivePrepare(conn)
	if err != nil {
		return err
	}
	p, err := prepare(language, defaultDisk)
	if err != nil {
		return err
	}
	if err := conn.SendJSON(protocol.KindHello, protocol.Hello{Version: protocol.Version}); err != nil {
		return err
	}
	return serve(conn, control, p)
}

// receivePrepare waits until the host has processor time for an interpreter,
// and tells which it wants.
func receivePrepare(conn *protocol.Conn) (language string, err error) {
	for {
		switch kind, payload, err := conn.Receive(); {
		case err != nil:
			return "", err
		case kind == protocol.KindPrepare:
			var p protocol.Prepare
			err := json.Unmarshal(payload, &p)
			return p.Language, err
		case kind != protocol.KindStop: // Meant for the run that has ended.
			return "", fmt.Errorf("unexpected frame %q before an interpreter is ready", kind)
		}
	}
}

// serve runs one job in the waiting program.
func serve(conn *protocol.Conn, control int, p *program) error {
	j, p, err := receiveJob(conn, p)
	if err != nil {
		return err
	}
	defer p.close()
	r := &run{conn: conn, control: control, program: p, job: j}
	exit, err := r.run()
	if err != nil {
		return err
	}
	// What was killed dies while the answer is on its way, unless there are
	// files to collect that it could still change.
	defer p.end()
	if exit.Signal != 0 || exit.Code != 0 {
		if report := p.readReport(); report != nil {
			if err := conn.SendJSON(protocol.KindReport, report); err != nil {
				return err
			}
		}
	}
	if len(j.OutputFiles) > 0 {
		p.end()
		if err := collect(conn, &j.Job, p.work); err != nil {
			return err
		}
	}
	return conn.SendJSON(protocol.KindExit, exit)
}

// job is everything that the host sends ahead of Start.
type job struct {
	protocol.Job
	stdin []byte
}

// receiveJob takes in a job and its files. It returns the program to run it
// in: another than was waiting when the job needs another interpreter or wants
// a disk of another size.
func receiveJob(conn *protocol.Conn, p *program) (*job, *program, error) {
	j := new(job)
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case protocol.KindJob:
			if err = json.Unmarshal(payload, &j.Job); err == nil && !p.suits(&j.Job) {
				p.end()
				p.close()
				p, err = prepare(j.Language, j.DiskBytes)
			}
		case protocol.KindCode:
			err = p.writeFile(j.Program, payload)
		case protocol.KindStdin:
			j.stdin = payload
		case protocol.KindFile:
			var path string
			var content []byte
			if path, content, err = protocol.DecodeFile(payload); err == nil {
				err = p.writeFile(path, content)
			}
		case protocol.KindStart:
			return j, p, nil
		case protocol.KindStop:
			// It was meant for the run before, which ended by itself.
		default:
			err = fmt.Errorf("unexpected frame %q before start", kind)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}
