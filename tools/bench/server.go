package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// These are the time-outs for starting and stopping a server. They are much longer than
// a server usually needs.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
)

type server struct {
	*api
	cmd    *exec.Cmd
	exited chan error
	log    *serverLog
}

// startServer starts a server and waits until it accepts requests.
func startServer(ctx context.Context, binary, data string, flags ...string) (*server, error) {
	s := &server{exited: make(chan error, 1), log: &serverLog{url: make(chan string, 1)}}
	s.cmd = exec.CommandContext(ctx, binary, slices.Concat([]string{
		"serve", "--addr=127.0.0.1:0", "--rate-limit=off", "--log-format=json", "--data-dir=" + data,
	}, flags)...)
	s.cmd.Env = append(environment(), nodeSettings()...)
	s.cmd.Stderr = s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = stopTimeout
	// Setpgid puts the server into its own process group. So a signal of the terminal
	// reaches only the benchmark, which then stops the server. With Pdeathsig, the
	// kernel kills the server if the benchmark is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.exited <- s.cmd.Wait() }()
	select {
	case url := <-s.log.url:
		s.api = newAPI(url)
		return s, nil
	case err := <-s.exited:
		return nil, fmt.Errorf("the server ended: %w: %s", errors.Join(err, ctx.Err()), s.log)
	case <-time.After(startTimeout):
		return nil, errors.Join(fmt.Errorf("the server does not start: %s", s.log), s.cmd.Process.Kill())
	}
}

// The method "stop" stops the server and waits until the server's process has ended.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-s.exited; err != nil {
		return fmt.Errorf("stop the server: %w: %s", err, s.log)
	}
	return nil
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// serverLog receives the log of the server and keeps the last lines. When the log says
// that the server is ready, serverLog sends the URL of the server to a channel.
type serverLog struct {
	url chan string

	mu      sync.Mutex
	partial []byte
	last    []string
}

// keptLines is the number of log lines to keep. If a server fails, the error message
// contains these lines.
const keptLines = 10

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, whole := bytes.Cut(l.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.line(line)
		l.partial = bytes.Clone(rest)
	}
}

func (l *serverLog) line(line []byte) {
	var entry struct{ Msg, URL string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
		select {
		case l.url <- entry.URL:
		default: // The address was already sent.
		}
	}
	l.last = append(l.last, string(line))
	l.last = slices.Delete(l.last, 0, max(len(l.last)-keptLines, 0))
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}
