package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startProgram starts a program that takes ten seconds, and waits until the program
// runs. So the program still runs when startProgram returns, even on a busy machine.
// The returned function waits for the answer and checks it.
func (a *account) startProgram(t *testing.T) (answered func()) {
	t.Helper()
	var x *execution
	var wg sync.WaitGroup
	wg.Go(func() { x = a.run(t, "import time\ntime.sleep(10)\nprint('done')") })
	eventually(t, "the program runs", func() bool { return a.server.metric(t, "pyth_on_executions_running") == 1 })
	return func() {
		t.Helper()
		wg.Wait()
		if x != nil {
			x.prints(t, "done\n")
		}
	}
}

// terminate sends SIGTERM and waits until the server logs that it is stopping. As in
// kill(2), a negative pid means a whole process group.
func (s *server) terminate(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server logs that it is stopping", func() bool { return strings.Contains(s.log.String(), "msg=\"stopping") })
}

func TestServeAnswersOpenConnectionsWhileStopping(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	c := must(net.Dial("tcp", strings.TrimPrefix(s.URL, "http://")))(t)
	defer c.Close()
	answers := bufio.NewReader(c)
	exchange := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		req := must(http.NewRequest(method, s.URL+path, strings.NewReader(body)))(t)
		req.Header.Set("X-Api-Key", a.APIKey)
		req.Header.Set("Content-Type", "application/json")
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
		res := must(http.ReadResponse(answers, req))(t)
		return res, string(must(io.ReadAll(res.Body))(t))
	}
	if res, body := exchange("GET", "/readyz", ""); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	answered := a.startProgram(t)
	s.terminate(t, s.cmd.Process.Pid)
	if res, body := exchange("GET", "/readyz", ""); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("readiness: %d %s", res.StatusCode, body)
	}
	res, body := exchange("POST", "/api/v1/execute", `{"code": "print(1)"}`)
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || res.StatusCode != 503 || p.Code != "draining" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	answered()
	s.requireCleanExit(t)
	if log := s.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a refused request is logged as an error: %s", log)
	}
}

func TestServeDrainDelayGivesLoadBalancersTime(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--drain-delay=10s")
	s.http.CloseIdleConnections()
	begun := time.Now()
	s.terminate(t, s.cmd.Process.Pid)
	s.call(t, nil, "GET", "/readyz", nil).refused(t, 503, "draining")
	s.call(t, nil, "POST", "/api/login", object{"email": "a@b", "password": "c"}).refused(t, 503, "draining")
	s.requireCleanExit(t)
	if took := time.Since(begun); took < 10*time.Second || took > time.Minute {
		t.Errorf("the server stopped after %v", took)
	}
}

// TestServeTakesGroupSignalOnce sends a signal to the process group of the server. A
// terminal does the same for Ctrl-C, and some supervisors do it for SIGTERM. A server
// of an ordinary user has two processes. The first process forwards signals to the
// second process. So the second process gets the signal twice, but must count it only
// once.
func TestServeTakesGroupSignalOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) *server{
		"as root": func(t *testing.T) *server {
			return startServerIn(t, newDataDir(t), &syscall.SysProcAttr{Setpgid: true})
		},
		"as an ordinary user": func(t *testing.T) *server {
			attr, data := ordinaryUser(t)
			if attr == nil {
				attr = new(syscall.SysProcAttr)
			}
			attr.Setpgid = true
			return startServerIn(t, data, attr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			a := s.register(t)
			answered := a.startProgram(t)
			s.terminate(t, -s.cmd.Process.Pid)
			answered()
			s.requireCleanExit(t)
		})
	}
}

func TestServeEndsAtOnceOnSecondSignal(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--drain-timeout=5m")
	a := s.register(t)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", object{"code": "import time\ntime.sleep(200)", "timeoutMs": 250_000})
	}()
	eventually(t, "the program runs", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
	s.terminate(t, s.cmd.Process.Pid)
	time.Sleep(time.Second) // Wait, because the server ignores a second signal within half a second.
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		t.Error("the server still runs")
	}
	<-gone
	startServerIn(t, s.data, nil) // This start removes the leftovers of the stopped server.
}
