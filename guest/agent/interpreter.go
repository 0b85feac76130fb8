package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// interpreter is a Python that has started and waits for its program.
type interpreter struct {
	pid            int
	control        *os.File
	stdin          *os.File
	stdout, stderr *os.File
	ended          <-chan ended
}

// startInterpreter starts the interpreter as the unprivileged user.
func startInterpreter(r *reaper) (*interpreter, error) {
	stdinR, stdinW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stdoutR, stdoutW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stderrR, stderrW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "control")
	pid, exited, err := r.start("/usr/local/bin/python3", []string{"python3", "main.py"}, &syscall.ProcAttr{
		Dir: workDir,
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin",
			"HOME=/home/sandbox",
			"LANG=C.UTF-8",
			"PYTHONPATH=/pyth-on/python",
		},
		Files: []uintptr{stdinR.Fd(), stdoutW.Fd(), stderrW.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: userID, Gid: userID, NoSetGroups: false},
			Setsid:     true,
		},
	})
	for _, f := range []*os.File{stdinR, stdoutW, stderrW, theirs} {
		f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("starting the interpreter: %w", err)
	}
	return &interpreter{
		pid:     pid,
		control: os.NewFile(uintptr(pair[0]), "interpreter"),
		stdin:   stdinW,
		stdout:  stdoutR,
		stderr:  stderrR,
		ended:   exited,
	}, nil
}

// ready waits until the interpreter waits.
func (p *interpreter) ready() error {
	var b [1]byte
	if _, err := p.control.Read(b[:]); err != nil {
		message := make([]byte, 4096)
		n, _ := p.stderr.Read(message)
		return fmt.Errorf("the interpreter did not start: %s", message[:n])
	}
	return nil
}

// residentBytes is the interpreter's resident memory, 0 if unknown.
func (p *interpreter) residentBytes() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// start applies the limits of the job and lets the program begin.
func (p *interpreter) start(j *job) error {
	limits := []struct {
		resource int
		value    uint64
	}{
		// gVisor refuses the process after the one that exceeds the limit.
		{unix.RLIMIT_NPROC, uint64(max(j.Processes-1, 0))},
		{unix.RLIMIT_NOFILE, 1024},
		{unix.RLIMIT_CORE, 0},
	}
	for _, l := range limits {
		limit := unix.Rlimit{Cur: l.value, Max: l.value}
		if err := unix.Prlimit(p.pid, l.resource, &limit, nil); err != nil {
			return fmt.Errorf("setting limit %d: %w", l.resource, err)
		}
	}
	var fields bytes.Buffer
	fmt.Fprintf(&fields, "%d\x00", len(j.Args))
	for _, s := range append(append([]string{}, j.Args...), j.Env...) {
		fields.WriteString(s)
		fields.WriteByte(0)
	}
	message := binary.BigEndian.AppendUint32(nil, uint32(fields.Len()))
	if _, err := p.control.Write(append(message, fields.Bytes()...)); err != nil {
		return err
	}
	p.control.Close()
	go func() {
		// A program that ends without reading its input is no error.
		_, _ = p.stdin.Write(j.stdin)
		p.stdin.Close()
	}()
	return nil
}
