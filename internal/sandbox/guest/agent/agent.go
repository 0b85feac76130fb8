// Package agent implements the first process inside a sandbox. It starts an interpreter
// in new namespaces, where the interpreter waits for a job. The agent sends the job to
// the interpreter and relays the output. When the program ends, the agent kills all
// processes that the job has started, and reports the exit status from the kernel. The
// next job gets a new interpreter, unless the kernel can restore the current one
// (package rollback).
//
// The agent guarantees that nothing of one run remains in the next: no process,
// file, mount, socket or System V object. The agent runs as root inside the sandbox.
// The user's program does not run as root, so it can neither signal nor trace the
// agent. The program inherits no descriptor of the agent.
//
// While a job runs, one thread does all the work in a poll loop, so that no answer
// waits for another thread to wake up. Only network connections are relayed by other
// goroutines.
package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// Paths and names inside the sandbox.
const (
	workDir = "/work"
	runDir  = "/run"
	// reportName is the file in runDir for the report of an uncaught exception.
	reportName = "report"
	// userID is the unprivileged user and group for programs.
	userID = 1000
)

// Run serves jobs one after another over the control socket. The host ends the
// sandbox by closing this socket; then Run returns. networkFD is the descriptor
// of the egress socket, and streamsFD is the descriptor of the socket for the streams of a
// session.
func Run(control *os.File, networkFD, streamsFD int) error {
	runtime.LockOSThread()
	// Mark the socket as close-on-exec, because processes must not send messages of the
	// agent to the host.
	unix.CloseOnExec(int(control.Fd()))
	// resume moves this thread between mount namespaces. The kernel permits this only if
	// the thread does not share its working directory with other threads.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := restoreChildSignal(); err != nil {
		return err
	}
	hideArguments()
	egress, err := newNetwork(networkFD)
	if err != nil {
		return err
	}
	host := newStreams(streamsFD)
	conn := protocol.NewConn(control)
	if err := removeDevices(); err != nil {
		return err
	}
	var last *program
	seen, buffer := imports{}, make([]byte, 64<<10)
	for {
		var err error
		switch last, err = next(conn, int(control.Fd()), egress, host, last, seen, buffer); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// The function "next" prepares an interpreter and serves the next job or session. The
// parameter "last" is the interpreter of the previous job, or nil. The result is the
// interpreter that has served the job, or nil after a session.
func next(conn *protocol.Conn, control int, egress *network, host *streams, last *program, seen imports, buffer []byte) (*program, error) {
	wanted, err := receivePrepare(conn)
	if err != nil {
		return nil, err
	}
	if err := last.restore(); err != nil {
		return nil, err
	}
	p, why, err := last.next(wanted, seen)
	if err != nil {
		return nil, err
	}
	if err := greet(conn, p == last, why); err != nil {
		return nil, err
	}
	return serve(conn, control, p, egress, host, seen, buffer)
}

// greet tells the host that an interpreter is ready. restored is true if the kernel
// has restored the interpreter of the previous job. If not, the parameter "why" is
// the reason.
func greet(conn *protocol.Conn, restored bool, why abi.Reason) error {
	return conn.SendMessage(protocol.KindHello, &protocol.Hello{Version: protocol.Version, Restored: restored, Reason: why.String()})
}

// receivePrepare waits for a Prepare frame. The host sends it when a processor is
// free to start an interpreter.
func receivePrepare(conn *protocol.Conn) (*protocol.Prepare, error) {
	for {
		switch kind, payload, err := conn.Receive(); {
		case err != nil:
			return nil, err
		case kind == protocol.KindPrepare:
			p := new(protocol.Prepare)
			return p, protocol.Decode(payload, p)
		case kind != protocol.KindStop: // Ignore a late Stop frame for the previous run.
			return nil, fmt.Errorf("unexpected frame %q before an interpreter is ready", kind)
		}
	}
}

// serve receives one job and runs it in the interpreter. If it is a job of a session,
// the function runs all jobs of the session. It returns the interpreter, or nil after a
// session.
func serve(conn *protocol.Conn, control int, p *program, egress *network, host *streams, seen imports, buffer []byte) (*program, error) {
	for {
		j, next, err := receiveJob(conn, control, p, egress, host)
		if err != nil {
			return nil, err
		}
		p = next
		r := &run{
			conn: conn, control: control, program: p, job: j, network: egress, streams: host, buffer: buffer,
			deadline: time.Now().Add(time.Duration(j.TimeoutMs) * time.Millisecond),
		}
		if !j.Session {
			err := r.serve()
			seen.add(j.source)
			return p, err
		}
		if ended, err := r.serveInSession(); ended || err != nil {
			return nil, err
		}
	}
}

// serve runs a job outside a session. Then it removes everything that the job has
// left.
func (r *run) serve() error {
	conn, p, j := r.conn, r.program, r.job
	defer func() {
		if !p.restored {
			p.close()
		}
	}()
	exit, err := r.withNetwork(r.run)
	if err != nil {
		return err
	}
	// Send the answer first, and then wait until the killed processes are gone. If files
	// are collected, wait earlier, because the processes could still change the files.
	defer func() {
		if !p.restored {
			p.end()
		}
	}()
	if !p.isShell() && (exit.Signal != 0 || exit.Code != 0) {
		if report := p.readReport(); report != nil {
			if err := conn.SendMessage(protocol.KindReport, report); err != nil {
				return err
			}
		}
	}
	if len(j.OutputFiles) > 0 {
		if !p.restored {
			p.end()
		}
		if err := r.collect(); err != nil {
			return err
		}
	}
	return conn.SendMessage(protocol.KindExit, exit)
}

// withNetwork calls the function "do". During the call, the program can use the
// network if the job allows it.
func (r *run) withNetwork(do func() (*protocol.Exit, error)) (*protocol.Exit, error) {
	if !r.job.Network {
		return do()
	}
	closeRelay, err := r.network.open(r.program)
	if err != nil {
		return nil, err
	}
	defer closeRelay()
	return do()
}

// pollFrame reports whether the host has sent a frame of this kind. It does not wait.
// It drops a frame of another kind, because such a frame belongs to an operation that
// has ended. An error means that the host has closed the socket.
func pollFrame(conn *protocol.Conn, control int, kind protocol.Kind) (bool, error) {
	if !conn.Buffered() {
		fds := [...]unix.PollFd{{Fd: int32(control), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds[:], 0); err != nil || n == 0 {
			return false, nil
		}
	}
	got, _, err := conn.Receive()
	return got == kind, err
}

// job holds everything that the host sends before Start.
type job struct {
	protocol.Job
	stdin []byte
	// code is the program of a session's job. The program of any other job is in the
	// file that the field Program names.
	code []byte
	// source is the beginning of a program whose imports are counted. It is nil for other
	// programs.
	source []byte
	// The field "small" is a program that is at most maxSmall bytes long. It is nil for
	// longer programs.
	small     []byte
	encrypted encryptedProgram
	// fileError explains why an input file of a session's job could not be written. It
	// is "" if all files were written.
	fileError string
}

// prepareFor returns the request for an interpreter that can run the job. If the
// interpreter compiles to machine code, its checkpoint would be large. The host already
// measures the job, so it would count the checkpoint as memory of the job. Therefore such
// an interpreter gets no permission to make a checkpoint. After the job, the agent starts
// another interpreter.
func (p *program) prepareFor(j *protocol.Job) *protocol.Prepare {
	wanted := p.prepared
	wanted.Language, wanted.DiskBytes = j.Language, j.DiskBytes
	if interpreterOf(&wanted).compiles {
		wanted.RollbackRuns = 0
	}
	return &wanted
}

// receiveJob receives a job with its files, and returns the interpreter for it.
// If the interpreter p has the wrong language or disk size, receiveJob replaces
// it.
func receiveJob(conn *protocol.Conn, control int, p *program, egress *network, host *streams) (*job, *program, error) {
	j := new(job)
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case protocol.KindJob:
			if err = protocol.Decode(payload, &j.Job); err == nil && !p.canRun(&j.Job) {
				p, err = p.replace(p.prepareFor(&j.Job))
			}
		case protocol.KindCode:
			if j.Session {
				j.code = payload
			} else {
				if p.canRestore() {
					j.source = scanned(payload)
				}
				if len(payload) <= maxSmall {
					j.small = payload
				}
				err = p.writeFile(j.Program, payload)
			}
		case protocol.KindEncrypted, protocol.KindCipher, protocol.KindPassword, protocol.KindSealed:
			j.encrypted.frames = append(j.encrypted.frames, protocol.Frame{Kind: kind, Payload: payload})
		case protocol.KindKey:
			err = j.encrypted.makeKey(conn)
		case protocol.KindStdin:
			j.stdin = payload
		case protocol.KindSecret:
			j.Env = append(j.Env, string(payload))
		case protocol.KindFile:
			var file protocol.File
			err = protocol.Decode(payload, &file)
			switch {
			case err != nil:
			case j.Session:
				// If the file cannot be written, the program is at fault. Earlier runs
				// may have filled the disk, or may have created a directory at the path
				// of the file.
				if failed := p.placeFile(file.Path, file.Content); failed != nil && j.fileError == "" {
					j.fileError = fmt.Sprintf("The file %s could not be written: %v. The program did not run.", file.Path, failed)
				}
			default:
				err = p.writeFile(file.Path, file.Content)
			}
		case protocol.KindStart:
			return j, p, nil
		case protocol.KindStop, protocol.KindAbort:
			// Ignore the frame. The host wants to end an operation that has already
			// ended.
		case protocol.KindPrepare:
			// The host sends Prepare again if it wants another interpreter for the next
			// job. The current interpreter has not run a job.
			wanted := new(protocol.Prepare)
			if err = protocol.Decode(payload, wanted); err == nil {
				p, err = p.replace(wanted)
			}
			if err == nil {
				err = greet(conn, false, 0)
			}
		case protocol.KindServe:
			err = host.serve(payload, p, egress)
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
