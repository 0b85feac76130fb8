package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServeSurvivesReloadSignals sends SIGHUP, which reloads the settings, and signals
// with which other servers reopen their logs. The server and its programs must continue
// to run.
func TestServeSurvivesReloadSignals(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) *server{
		"as root": func(t *testing.T) *server { return startServer(t) },
		"as an ordinary user": func(t *testing.T) *server {
			attr, data := ordinaryUser(t)
			return startServerIn(t, data, attr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			a := s.register(t)
			answered := a.startProgram(t)
			for signal, line := range map[syscall.Signal]string{
				syscall.SIGHUP:  `msg="settings reloaded"`,
				syscall.SIGUSR1: "signal=SIGUSR1",
				syscall.SIGUSR2: "signal=SIGUSR2",
			} {
				for range 2 {
					if err := s.cmd.Process.Signal(signal); err != nil {
						t.Fatalf("%v: %v", signal, err)
					}
				}
				eventually(t, "the log names "+signal.String(), func() bool { return strings.Contains(s.log.String(), line) })
			}
			answered()
			a.run(t, "print(42)").prints(t, "42\n")
			s.stop(t)
		})
	}
}

// TestServeSurvivesClosedLog closes the pipe to which the server writes its log. The
// server must continue to serve requests.
func TestServeSurvivesClosedLog(t *testing.T) {
	t.Parallel()
	r, w := mustPair(os.Pipe())(t)
	s := startServer(t)
	data := s.data
	s.stop(t)
	cmd := exec.Command(binary, "serve", "--addr=127.0.0.1:0", "--data-dir="+data, "--log-level=debug")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	_ = w.Close()
	log := &logBuffer{lines: make(chan string, 1000)}
	go log.copyFrom(r)
	eventually(t, "the server serves", func() bool {
		_, line, found := strings.Cut(log.String(), "msg=serving ")
		if url := urlField.FindStringSubmatch(line); found && url != nil {
			s.URL = url[1]
			return true
		}
		return false
	})
	_ = r.Close()
	for range 3 { // Each request writes a line to the log.
		s.call(t, nil, "GET", "/healthz", nil).want(t, 200, nil)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the server did not stop")
	}
}

// TestServeDumpsGoroutinesOnSIGQUIT sends SIGQUIT. The server must print its goroutines
// and exit at once with an error code. The next start of the server must succeed.
func TestServeDumpsGoroutinesOnSIGQUIT(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "canary-of-the-stack")
	a.run(t, "print(42)").prints(t, "42\n")
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Fatal("the server still runs")
	}
	if code := s.cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("the server exited without an error")
	}
	if log := s.log.String(); !strings.Contains(log, "goroutine ") || strings.Contains(log, "canary-of-the-stack") || strings.Contains(log, a.APIKey) {
		t.Errorf("the log is %s", log)
	}
	a.server = startServerIn(t, s.data, nil)
	a.run(t, "print(42)").prints(t, "42\n")
}

// mustPair is like the function "must", but for calls that return two values and an
// error.
func mustPair[A, B any](a A, b B, err error) func(testing.TB) (A, B) {
	return func(t testing.TB) (A, B) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}
