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
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
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

// Run serves one job after the other over the control socket and returns when
// the host is gone. The sandbox ends with it. The number is that of the socket
// for connections.
func Run(control *os.File, networkFD int) error {
	// All that matters happens on one thread: none other need wake.
	runtime.LockOSThread()
	if err := restoreChildSignal(); err != nil {
		return err
	}
	hideArguments()
	way, err := newNetwork(networkFD)
	if err != nil {
		return err
	}
	conn := protocol.NewConn(control)
	if err := removeDevices(); err != nil {
		return err
	}
	for {
		switch err := next(conn, int(control.Fd()), way); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// next serves the next job, or session.
func next(conn *protocol.Conn, control int, way *network) error {
	wanted, err := receivePrepare(conn)
	if err != nil {
		return err
	}
	if err := checkSockets(); err != nil {
		return err
	}
	p, err := prepare(wanted)
	if err != nil {
		return err
	}
	if err := greet(conn); err != nil {
		return err
	}
	return serve(conn, control, p, way)
}

func greet(conn *protocol.Conn) error {
	return conn.SendJSON(protocol.KindHello, protocol.Hello{Version: protocol.Version})
}

// receivePrepare waits until the host has processor time for an interpreter,
// and tells which it wants.
func receivePrepare(conn *protocol.Conn) (*protocol.Prepare, error) {
	for {
		switch kind, payload, err := conn.Receive(); {
		case err != nil:
			return nil, err
		case kind == protocol.KindPrepare:
			p := new(protocol.Prepare)
			return p, json.Unmarshal(payload, p)
		case kind != protocol.KindStop: // Meant for the run that has ended.
			return nil, fmt.Errorf("unexpected frame %q before an interpreter is ready", kind)
		}
	}
}

// serve runs one job in the waiting program, or all those of a session.
func serve(conn *protocol.Conn, control int, p *program, way *network) error {
	for {
		j, next, err := receiveJob(conn, control, p)
		if err != nil {
			return err
		}
		p = next
		r := &run{
			conn: conn, control: control, program: p, job: j, network: way,
			deadline: time.Now().Add(time.Duration(j.TimeoutMs) * time.Millisecond),
		}
		if !j.Session {
			return r.serve()
		}
		if ended, err := r.serveTurn(); ended || err != nil {
			return err
		}
	}
}

// serve runs a job of which nothing stays.
func (r *run) serve() error {
	conn, p, j := r.conn, r.program, r.job
	defer p.close()
	exit, err := r.connected(r.run)
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
		if err := r.collect(); err != nil {
			return err
		}
	}
	return conn.SendJSON(protocol.KindExit, exit)
}

// connected does the run, with a network if it is to have one.
func (r *run) connected(do func() (*protocol.Exit, error)) (*protocol.Exit, error) {
	if !r.job.Network {
		return do()
	}
	closed, err := r.network.open(r.program)
	if err != nil {
		return nil, err
	}
	defer closed()
	return do()
}

// asked returns whether the host has sent a frame of the kind, without waiting
// for one. Any other frame is dropped: it was meant for what has ended by
// itself. An error means that the host is gone.
func asked(conn *protocol.Conn, control int, kind protocol.Kind) (bool, error) {
	if !conn.Buffered() {
		fds := [...]unix.PollFd{{Fd: int32(control), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds[:], 0); err != nil || n == 0 {
			return false, nil
		}
	}
	got, _, err := conn.Receive()
	return got == kind, err
}

// job is everything that the host sends ahead of Start.
type job struct {
	protocol.Job
	stdin []byte
	// code is that of a session; else it is in main.py.
	code []byte
	// locked is the program if it is encrypted.
	locked locked
	// unplaced is why a file of a session's job is not there, "" if all are.
	unplaced string
}

// receiveJob takes in a job and its files. It returns the program to run it
// in: another than was waiting when the job needs another interpreter or wants
// a disk of another size.
func receiveJob(conn *protocol.Conn, control int, p *program) (*job, *program, error) {
	j := new(job)
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case protocol.KindJob:
			if err = json.Unmarshal(payload, &j.Job); err == nil && !p.suits(&j.Job) {
				p, err = p.replace(&protocol.Prepare{Language: j.Language, DiskBytes: j.DiskBytes, Preload: p.prepared.Preload})
			}
		case protocol.KindCode:
			if j.Session {
				j.code = payload
			} else {
				err = p.writeFile(j.Program, payload)
			}
		case protocol.KindLocked, protocol.KindCipher, protocol.KindPassword, protocol.KindSealed:
			j.locked.frames = append(j.locked.frames, protocol.Frame{Kind: kind, Payload: payload})
		case protocol.KindKey:
			err = j.locked.makeKey(conn)
		case protocol.KindStdin:
			j.stdin = payload
		case protocol.KindSecret:
			j.Env = append(j.Env, string(payload))
		case protocol.KindFile:
			var path string
			var content []byte
			path, content, err = protocol.DecodeFile(payload)
			switch {
			case err != nil:
			case j.Session:
				// The program may have put anything there, or filled its disk.
				if failed := p.placeFile(path, content); failed != nil && j.unplaced == "" {
					j.unplaced = fmt.Sprintf("The file %s could not be written: %v. The program did not run.", path, failed)
				}
			default:
				err = p.writeFile(path, content)
			}
		case protocol.KindStart:
			return j, p, nil
		case protocol.KindStop, protocol.KindAbort:
			// It was meant for what has ended by itself.
		case protocol.KindPrepare:
			// Nothing has run yet; the next is to be another than usual.
			wanted := new(protocol.Prepare)
			if err = json.Unmarshal(payload, wanted); err == nil {
				p, err = p.replace(wanted)
			}
			if err == nil {
				err = greet(conn)
			}
		case protocol.KindPut, protocol.KindGet, protocol.KindRemove, protocol.KindList:
			err = p.files(conn, control, kind, string(payload))
		default:
			err = fmt.Errorf("unexpected frame %q before start", kind)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}
