package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (s *server) dial(t testing.TB) net.Conn {
	t.Helper()
	conn := must(net.Dial("tcp", strings.TrimPrefix(s.URL, "http://")))(t)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// startUploads starts requests that announce a large body, but send only a part of this
// body. The server may refuse some of the requests and close their connections.
func (a *account) startUploads(t testing.TB, number, announced, sent int) {
	t.Helper()
	body := strings.Repeat("x", sent)
	for range number {
		_, _ = fmt.Fprintf(a.server.dial(t), "POST /api/v1/execute HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"code\":\"%s",
			a.APIKey, announced, body)
	}
}

// TestExecuteServesOthersDespiteLargeBodies starts large uploads of one user. Together
// they exceed the user's share of the request memory. The server must still accept
// requests with bodies from other users.
func TestExecuteServesOthersDespiteLargeBodies(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-request-memory=128")
	hog, other := s.register(t), s.register(t)
	hog.startUploads(t, 16, 26<<20, 8<<20)
	large := object{"code": "print(1)", "stdin": strings.Repeat("y", 900_000)}
	for range 3 {
		other.execute(t, large).prints(t, "1\n")
	}
	eventually(t, "the user with the unfinished bodies is refused", func() bool {
		answer := s.call(t, hog, "POST", "/api/v1/execute", object{"code": "1", "stdin": strings.Repeat("y", 1_000_000), "env": object{"A": strings.Repeat("z", 1<<15)}})
		return answer.status == 429
	})
}

// TestExecuteChargesQueuedFiles queues programs of one user. These programs have large
// input files. The server must limit the total size of the queued files to the user's
// share of the request memory.
func TestExecuteChargesQueuedFiles(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-running=1", "--max-running-per-user=1", "--max-request-memory=64")
	a := s.register(t)
	x := a.openSession(t, object{})
	file := []object{{"path": "f", "content": strings.Repeat("a", 9<<20)}}
	answers := make(chan *answer)
	const programs = 12
	for i := range programs {
		request := object{"code": "import time\ntime.sleep(2)", "files": file, "timeoutMs": 60_000}
		if i%2 == 1 {
			request["sessionId"] = x.ID
		}
		go func() {
			// Without Expect, the server can close the connection while the client still
			// sends a refused body. The client can then lose the answer.
			header := http.Header{"X-Api-Key": {a.APIKey}, "Expect": {"100-continue"}}
			res, err := s.tryCall(t.Context(), header, "POST", "/api/v1/execute", request)
			if err != nil {
				t.Error(err)
			}
			answers <- res
		}()
	}
	refused := 0
	for range programs {
		switch res := <-answers; {
		case res == nil:
		case res.status == 429:
			res.refused(t, 429, "quota_exceeded")
			if res.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			refused++
		default:
			res.want(t, 200, nil)
		}
	}
	if refused == 0 {
		t.Errorf("%d programs of 9 MiB were accepted with 28 MiB for the user", programs)
	}
	a.run(t, "print(1)").prints(t, "1\n")
}

// TestExecuteAnswers429AtUserLimits exceeds each limit of one user while the server has
// free capacity. The status must be 429, and the message must say what to do. The
// server must still serve other users.
func TestExecuteAnswers429AtUserLimits(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-running=4", "--max-running-per-user=1", "--max-queued-per-user=1", "--max-sessions-per-user=2")
	a, other := s.register(t), s.register(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := a.openStream(ctx, t, object{"code": "import time\nprint('begun', flush=True)\ntime.sleep(200)", "timeoutMs": 250_000})
	for e, ok := running.next(t); e.name != "stdout"; e, ok = running.next(t) {
		if !ok {
			t.Fatal("the stream ended")
		}
	}
	queued := make(chan *answer, 1)
	go func() {
		res, _ := s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", object{"code": "print(1)"})
		queued <- res
	}()
	eventually(t, "a program is in the queue", func() bool { return s.metric(t, "pyth_on_executions_waiting") == 1 })
	for range 2 {
		res := s.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"})
		if p := res.refused(t, 429, "too_many_executions"); !strings.Contains(p.Detail, "Try again") || res.header.Get("Retry-After") == "" {
			t.Errorf("the answer does not say what to do: %s", res.body)
		}
	}
	cancel()
	if res := <-queued; res == nil {
		t.Error("the queued program has no answer")
	} else {
		res.want(t, 200, nil)
	}
	for _, language := range []string{"python", "javascript"} {
		a.openSession(t, object{"language": language})
	}
	s.call(t, a, "POST", "/api/v1/sessions", object{}).refused(t, 429, "quota_exceeded")
	for range 4 {
		s.call(t, a, "POST", "/api/v1/zk/sandboxes", nil).want(t, 201, nil)
	}
	s.call(t, a, "POST", "/api/v1/zk/sandboxes", nil).refused(t, 429, "quota_exceeded")
	other.run(t, "print(2)").prints(t, "2\n")
}

// TestServeLimitsConnections opens more connections than the server allows. It does
// this with each kind of idle connection. The server must still serve other users.
func TestServeLimitsConnections(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-connections=40")
	a := s.register(t)
	for name, begin := range map[string]string{
		"nothing sent":              "",
		"half a header":             "GET /api HTTP/1.1\r\nHost: x\r\nX-A",
		"waiting for the next":      "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"a body that never arrives": "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			for range 120 {
				_, _ = io.WriteString(s.dial(t), begin)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
			res := must(client.Get(s.URL + "/api/health"))(t)
			_ = res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("health is %d", res.StatusCode)
			}
			eventually(t, "a program runs", func() bool {
				x, err := s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", object{"code": "print(3)"})
				return err == nil && x.status == 200
			})
		})
	}
}

// TestServeRefusesAmbiguousMessages sends requests with an ambiguous end. After each
// request, it sends a second request on the same connection. The server must never
// answer the second request.
func TestServeRefusesAmbiguousMessages(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	const second = "GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, first := range map[string]string{
		"length and chunks":       "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks and length":       "POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 200\r\nContent-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunks without a length": "PUT /api/password HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks of HTTP/1.0":      "POST /api/login HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"two lengths":             "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"an unknown coding":       "POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
		"a length with a sign":    "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(t)
			_, _ = io.WriteString(conn, first+second)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			r := bufio.NewReader(conn)
			res := must(http.ReadResponse(r, nil))(t)
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode < 400 || res.StatusCode > 501 {
				t.Errorf("the first request: status %d", res.StatusCode)
			}
			if next, err := http.ReadResponse(r, nil); err == nil {
				t.Errorf("the second request: status %d", next.StatusCode)
			}
		})
	}
}
