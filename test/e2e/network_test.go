package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// fetchProgram is a Python program that requests each URL through the proxy and prints
// the results. It uses the proxy for all addresses, even for local addresses.
const fetchProgram = `
import os, sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=20) as r:
            print(r.status, r.read().decode())
    except urllib.error.HTTPError as e:
        print(e.code, e.headers.get("X-Pyth-On-Egress"))
    except Exception as e:
        print(type(e).__name__)
`

// fetchProgramNode is the same program as fetchProgram, but in JavaScript.
const fetchProgramNode = `
for (const url of process.argv.slice(2)) {
  try {
    const r = await fetch(url);
    console.log(r.status, await r.text());
  } catch (e) {
    let messages = '';
    for (let x = e; x; x = x.cause) messages += x.message;
    console.log(messages.includes('(403)') ? '403 denied' : 'URLError');
  }
}
`

// The method "fetch" runs fetchProgram with the given URLs and the given allowlist.
func (a *account) fetch(t testing.TB, allow []string, urls ...string) *execution {
	t.Helper()
	return a.fetchWith(t, "python", allow, urls...)
}

func (a *account) fetchWith(t testing.TB, language string, allow []string, urls ...string) *execution {
	t.Helper()
	code := fetchProgram
	if language == "javascript" {
		code = fetchProgramNode
	}
	request := object{"language": language, "code": code, "args": urls, "env": object{"NO_PROXY": "", "no_proxy": ""}}
	if allow != nil {
		request["network"] = object{"allow": allow}
	}
	return a.execute(t, request)
}

// startEchoServer starts a web server. Its answer describes the request that it
// received.
func startEchoServer(t testing.TB) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "hello %s %s%s", r.Method, r.URL.Path, b)
	}))
	t.Cleanup(s.Close)
	return s
}

func hostPort(t testing.TB, s *httptest.Server) string { return must(url.Parse(s.URL))(t).Host }

func TestExecuteNetworkAllowsListedHosts(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	one, other := startEchoServer(t), startEchoServer(t)
	x := a.fetch(t, []string{hostPort(t, one)}, one.URL+"/a", other.URL+"/b")
	x.prints(t, "200 hello GET /a\n403 denied\n")
	// The server sorts the connections by host and port. The ports are random, so the
	// denied connection can come first.
	if len(x.Usage.Network) == 2 && x.Usage.Network[0].Verdict == "denied" {
		slices.Reverse(x.Usage.Network)
	}
	if len(x.Usage.Network) != 2 || x.Usage.Network[0].Verdict != "allowed" || x.Usage.Network[0].ReceivedBytes == 0 ||
		x.Usage.Network[1].Verdict != "denied" || x.Usage.Network[1].Reason == "" {
		t.Errorf("the network usage is %+v", x.Usage.Network)
	}
	if metrics := a.server.metric(t, `pyth_on_egress_connections_total{verdict="denied"}`); metrics != 1 {
		t.Errorf("the metric counts %v denials", metrics)
	}
}

func TestExecuteNetworkAllowsListedHostsInJavaScript(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	web := startEchoServer(t)
	a.execute(t, object{
		"language": "javascript", "args": []string{web.URL}, "env": object{"NO_PROXY": "", "no_proxy": ""},
		"network": object{"allow": []string{hostPort(t, web)}}, "code": `
const http = require('node:http');
fetch(process.argv[2] + '/a').then(async (r) => {
  console.log(r.status, await r.text());
  http.get(process.argv[2] + '/b', async (r) => {
    for await (const part of r) console.log(r.statusCode, String(part));
    await fetch('http://169.254.169.254/').catch((e) => console.log(e.cause.cause.message));
  });
});
`,
	}).prints(t, "200 hello GET /a\n200 hello GET /b\nProxy response (403) !== 200 when HTTP Tunneling\n")
}

func TestExecuteNetworkPassesSOCKS(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "ready\n") // The server sends first.
				b, _ := io.ReadAll(conn)               // Read until the client closes its side.
				_, _ = io.WriteString(conn, strings.ToUpper(string(b)))
			}()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	a.execute(t, object{"network": object{"allow": []string{listener.Addr().String()}}, "args": []string{fmt.Sprint(port)}, "code": `
import os, socket, struct, sys
host, port = os.environ["SOCKS5_PROXY"].removeprefix("socks5h://").split(":")
def connect(to):
    s = socket.create_connection((host, int(port)))
    s.sendall(b"\5\1\0")
    assert s.recv(2) == b"\5\0"
    s.sendall(b"\5\1\0\1" + socket.inet_aton("127.0.0.1") + struct.pack(">H", to))
    return s, s.recv(10)[1]
s, reply = connect(int(sys.argv[1]))
f = s.makefile("rb")
print(reply, f.readline())
s.sendall(b"abc" * 100_000)
s.shutdown(socket.SHUT_WR)
print(f.read() == b"ABC" * 100_000)
print(connect(1)[1])
`}).prints(t, "0 b'ready\\n'\nTrue\n2\n")
}

func TestAttackNetwork(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	open := startServer(t, "--egress-allow-range=127.0.0.0/8", "--egress-allow-range=169.254.0.0/16", "--egress-deny=denied.example", "--egress-max-hosts=3")
	web := startEchoServer(t)
	host := hostPort(t, web)
	a, b := s.register(t), open.register(t)

	for _, language := range []string{"python", "javascript"} {
		t.Run("070 metadata services are out of reach even if they are listed in "+language, func(t *testing.T) {
			b.fetchWith(t, language, []string{"169.254.169.254", "[fd00:ec2::254]"}, "http://169.254.169.254/latest/", "http://[fd00:ec2::254]/").
				prints(t, "403 denied\n403 denied\n")
		})
		t.Run("071 private addresses are out of reach unless the operator allows them in"+language, func(t *testing.T) {
			allow := []string{host, "10.0.0.1", "100.64.0.1", "[::1]:80"}
			a.fetchWith(t, language, allow, web.URL, "http://10.0.0.1/", "http://100.64.0.1/", "http://[::1]/").
				prints(t, "403 denied\n403 denied\n403 denied\n403 denied\n")
			b.fetchWith(t, language, []string{host}, web.URL+"/x").prints(t, "200 hello GET /x\n")
		})
		t.Run("072 addresses in unusual forms are refused in"+language, func(t *testing.T) {
			for _, odd := range []string{"2130706433", "0177.0.0.1", "127.1", "0x7f.1"} {
				s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "network": object{"allow": []string{odd}}}).refused(t, 400, "invalid_request")
				if got := b.fetchWith(t, language, []string{"127.0.0.1:80"}, "http://"+odd+"/").Stdout; strings.HasPrefix(got, "200") {
					t.Errorf("%s: %s", odd, got)
				}
			}
		})
		t.Run("074 a redirect is checked like any request in "+language, func(t *testing.T) {
			b.fetchWith(t, language, []string{host}, web.URL+"/?to="+url.QueryEscape("http://169.254.169.254/"), web.URL+"/?to=/ok").
				prints(t, "403 denied\n200 hello GET /ok\n")
		})
		t.Run("076 lookalike names are not confused in"+language, func(t *testing.T) {
			allow := []string{"allowed.example", "*.wild.example"}
			x := b.fetchWith(t, language, allow, "http://notallowed.example/", "http://allowed.example.evil.example/", "http://wild.example/", "http://evil%00.allowed.example/")
			if strings.Contains(x.Stdout, "200") || strings.Contains(x.Stdout, "502") {
				t.Error(x)
			}
		})
		t.Run("077 ports other than those listed are refused in "+language, func(t *testing.T) {
			b.fetchWith(t, language, []string{"127.0.0.1"}, web.URL).prints(t, "403 denied\n")
		})
		t.Run("080 in a reused sandbox each run has its own rules or none in"+language, func(t *testing.T) {
			ask := "\nimport socket\ntry:\n    socket.create_connection(('127.0.0.1', 3128))\n    print('open')\nexcept OSError as e:\n    print('closed')"
			for range 3 {
				b.fetchWith(t, language, []string{host}, web.URL+"/1").prints(t, "200 hello GET /1\n")
				b.run(t, ask).prints(t, "closed\n")
				b.fetchWith(t, language, []string{"other.example"}, web.URL+"/2").prints(t, "403 denied\n")
				b.fetchWith(t, language, nil, web.URL+"/3").prints(t, "URLError\n")
			}
		})
	}
	t.Run("078 names are not resolved inside", func(t *testing.T) {
		x := b.execute(t, object{"network": object{"allow": []string{host}}, "code": "import socket\ntry:\n    socket.getaddrinfo('example.org', 80)\nexcept OSError as e:\n    print('no')"})
		x.prints(t, "no\n")
	})
	t.Run("079 the server's API and the proxy serve nothing to programs", func(t *testing.T) {
		a.fetch(t, []string{strings.TrimPrefix(s.URL, "http://")}, s.URL+"/healthz").prints(t, "403 denied\n")
		x := a.execute(t, object{"network": object{"allow": []string{host}}, "code": `
import socket
for request in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /metrics HTTP/1.0\r\n\r\n", b"\5\1\2", b"\0" * 100 + b"\r\n\r\n", b"CONNECT 127.0.0.1:3128 HTTP/1.1\r\n\r\n":
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(request)
    print(s.recv(1000).split(b"\r\n")[0])
`})
		if x.ends(t, "succeeded"); strings.Contains(x.Stdout, " 200 ") {
			t.Error(x)
		}
	})
	t.Run("the operator's policy takes precedence", func(t *testing.T) {
		b.fetch(t, []string{"denied.example"}, "http://denied.example/").prints(t, "403 denied\n")
		open.call(t, b, "POST", "/api/v1/execute", object{"code": "1", "network": object{"allow": []string{"a.example", "b.example", "c.example", "d.example"}}}).
			refused(t, 400, "invalid_request")
		off := startServer(t, "--egress=off")
		off.call(t, off.register(t), "POST", "/api/v1/execute", object{"code": "1", "network": object{"allow": []string{"a.example"}}}).refused(t, 403, "forbidden")
	})
}
