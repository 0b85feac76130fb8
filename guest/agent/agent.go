// Package agent is the first process inside a sandbox. It keeps an interpreter
// waiting, hands it one job, relays its output, ends whatever the job started
// and reports how the kernel says it ended.
//
// It runs as root inside the sandbox and the user's program does not, so the
// program can neither signal nor trace it. It holds no other descriptor than
// the control socket, which the program does not inherit.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pyth-on/pyth-on/guest/protocol"
)

// Where things are inside the sandbox.
const (
	workDir    = "/work"
	programTo  = workDir + "/main.py"
	reportPath = "/run/report"
	// userID is the unprivileged user that programs run as.
	userID = 1000
)

// defaultDisk is what the file system of a run has unless its job says
// otherwise; having it ready saves mounting it while the job waits.
const defaultDisk = 100 << 20

// Run serves one job over the control socket and returns when the host is
// gone. The sandbox ends with it.
func Run(control *os.File) error {
	hideArguments()
	conn := protocol.NewConn(control)
	reaper := newReaper()
	if err := removeDevices(); err != nil {
		return err
	}
	if err := mountScratch(defaultDisk); err != nil {
		return err
	}
	if err := os.WriteFile(reportPath, nil, 0o600); err != nil {
		return err
	}
	if err := os.Chown(reportPath, userID, userID); err != nil {
		return err
	}
	program, err := startInterpreter(reaper)
	if err != nil {
		return err
	}
	if err := program.ready(); err != nil {
		return err
	}
	hello := protocol.Hello{Version: protocol.Version, InterpreterBytes: program.residentBytes()}
	if err := conn.SendJSON(protocol.KindHello, hello); err != nil {
		return err
	}
	job, err := receiveJob(conn)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return runJob(conn, reaper, program, job)
}

// job is everything that the host sends ahead of Start.
type job struct {
	protocol.Job
	stdin []byte
}

func receiveJob(conn *protocol.Conn) (*job, error) {
	j := new(job)
	disk := int64(defaultDisk)
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			return nil, err
		}
		switch kind {
		case protocol.KindJob:
			if err := json.Unmarshal(payload, &j.Job); err != nil {
				return nil, err
			}
			if j.DiskBytes != disk {
				if err := mountScratch(j.DiskBytes); err != nil {
					return nil, err
				}
			}
		case protocol.KindCode:
			if err := writeFile("main.py", payload); err != nil {
				return nil, err
			}
		case protocol.KindStdin:
			j.stdin = payload
		case protocol.KindFile:
			path, content, err := protocol.DecodeFile(payload)
			if err != nil {
				return nil, err
			}
			if err := writeFile(path, content); err != nil {
				return nil, err
			}
		case protocol.KindStart:
			return j, nil
		default:
			return nil, fmt.Errorf("unexpected frame %q before start", kind)
		}
	}
}

func runJob(conn *protocol.Conn, reaper *reaper, program *interpreter, j *job) error {
	started := time.Now()
	relayed := make(chan struct{}, 2)
	relay := func(kind protocol.Kind, from io.Reader) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 && conn.Send(kind, buffer[:n]) != nil {
				break
			}
			if err != nil {
				break
			}
		}
		relayed <- struct{}{}
	}
	go relay(protocol.KindStdout, program.stdout)
	go relay(protocol.KindStderr, program.stderr)

	stop := make(chan struct{})
	gone := make(chan error, 1)
	go func() {
		for {
			kind, _, err := conn.Receive()
			if err != nil {
				gone <- err
				return
			}
			if kind == protocol.KindStop {
				close(stop)
				return
			}
		}
	}()

	var exit protocol.Exit
	if err := program.start(j); err != nil {
		exit.Failure = err.Error()
		reaper.killAll()
	}
	deadline := time.NewTimer(time.Duration(j.TimeoutMs) * time.Millisecond)
	defer deadline.Stop()
	var end ended
	timeout, stopped := deadline.C, stop
	for waiting := true; waiting; {
		select {
		case end = <-program.ended:
			waiting = false
		case <-timeout:
			exit.TimedOut, timeout = true, nil
			reaper.killAll()
		case <-stopped:
			exit.Stopped, stopped = true, nil
			reaper.killAll()
		case err := <-gone:
			return err
		}
	}
	exit.WallUs = time.Since(started).Microseconds()
	// The run is over when its first process is: whatever it left behind ends
	// now, so that nothing can change between here and the collection of files.
	reaper.killAll()
	reaper.empty()
	<-relayed
	<-relayed
	exit.Code, exit.Signal = end.code, end.signal
	exit.CPUUs = reaper.cpu().Microseconds()
	if exit.Signal != 0 || exit.Code != 0 {
		if report := readReport(); report != nil {
			if err := conn.SendJSON(protocol.KindReport, report); err != nil {
				return err
			}
		}
	}
	if len(j.OutputFiles) > 0 {
		if err := collect(conn, &j.Job); err != nil {
			return err
		}
	}
	if err := conn.SendJSON(protocol.KindExit, exit); err != nil {
		return err
	}
	// The host destroys the sandbox; its end of the socket closing tells us.
	<-gone //nolint:errcheck // That it is gone is all there is to know.
	return nil
}
