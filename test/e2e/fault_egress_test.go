package e2e_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// rawServer is a TCP server on this machine. It answers every connection with a fixed
// text, and stores the bytes that it receives.
type rawServer struct {
	address  string
	mu       sync.Mutex
	received []string
}

func newRawServer(t *testing.T, answer string) *rawServer {
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { listener.Close() })
	s := &rawServer{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				if answer != "" {
					for line, err := r.ReadString('\n'); err == nil && strings.TrimSpace(line) != ""; line, err = r.ReadString('\n') {
						s.record(line)
					}
					_, _ = io.WriteString(conn, answer)
					return
				}
				b, _ := io.ReadAll(r)
				s.record(string(b))
				_, _ = io.WriteString(conn, "heard")
			}()
		}
	}()
	return s
}

func (s *rawServer) record(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, text)
}

func (s *rawServer) receivedText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.received, "\n")
}

// tunnelProgram is a program that opens a tunnel through the proxy for each line. It
// sends the line in two parts. Then it sends a Host header with the name of another
// host.
const tunnelProgram = `
import os, socket, sys
proxy = os.environ["HTTP_PROXY"].removeprefix("http://").rstrip("/").split(":")
target = sys.argv[1]
def connect():
    s = socket.create_connection((proxy[0], int(proxy[1])))
    s.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    f = s.makefile("rb")
    assert b" 200 " in f.readline()
    while f.readline().strip(): pass
    return s, f
for line in LINES:
    s, f = connect()
    try:
        half = len(line) // 2
        s.sendall(line[:half])
        s.sendall(line[half:])
        s.sendall(b"Host: evil.test\r\n\r\n")
        s.shutdown(socket.SHUT_WR)
        answer = f.read()
    except OSError:
        answer = b""
    print(answer == b"heard")
`

const tunnelProgramNode = `
const net = require('net');
const [host, port] = process.env.HTTP_PROXY.replace('http://', '').replace(/\/$/, '').split(':');
const target = process.argv[2];
(async () => {
  for (const line of LINES) {
    const answer = await new Promise((done) => {
      let all = Buffer.alloc(0), open = false;
      const s = net.connect(Number(port), host, () => s.write('CONNECT ' + target + ' HTTP/1.1\r\nHost: ' + target + '\r\n\r\n'));
      s.on('error', () => done(''));
      s.on('data', (b) => {
        all = Buffer.concat([all, b]);
        if (!open && all.includes('\r\n\r\n')) {
          open = true;
          all = Buffer.alloc(0);
          s.write(line);
          s.end('Host: evil.test\r\n\r\n');
        }
      });
      s.on('close', () => done(all.toString()));
    });
    console.log(answer === 'heard' ? 'True' : 'False');
  }
})();
`

func TestExecuteTunnelRefusesOtherHosts(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	s := newRawServer(t, "")
	const refused = `[b"\x0bGET / HTTP/1.1\r\n", b"\x1cGET / HTTP/1.1\r\n", b"\xc2\xa0GET / HTTP/1.1\r\n", b"\x85GET / HTTP/1.0\n",
  b"GET\x0b/\x0bHTTP/1.1\r\n", b"GET\xa0/\xa0HTTP/1.1\r\n", b"\x00GET / HTTP/1.1\r\n", b"\xef\xbb\xbfGET / HTTP/1.1\r\n",
  b"{} / HTTP/1.1\r\n", b"GET /\r\n", b"POST / 1\r\n", b"\x1e\n\x1e\nGET / HTTP/1.1\r\n", b"X" * 50 + b" / HTTP/1.1\n"]`
	const passed = `[b"*1\r\n$4\r\nPING\r\n", b"SSH-2.0-x\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b'{"log":"GET / HTTP/1.1 200"}\n', b"\x04\x00\x00\x00\x05"]`
	run := func(where string, execute func(code string) *execution, lines, want string, n int) {
		t.Helper()
		x := execute(strings.Replace(tunnelProgram, "LINES", lines, 1))
		if x.ends(t, "succeeded"); x.Stdout != strings.Repeat(want+"\n", n) {
			t.Errorf("%s: got %q", where, x.Stdout)
		}
	}
	allow := object{"allow": []string{s.address}}
	single := func(code string) *execution {
		return a.execute(t, object{"code": code, "args": []string{s.address}, "network": allow})
	}
	run("a run", single, refused, "False", 13)
	session := a.openSession(t, object{"language": "python", "network": allow})
	run("a session", func(code string) *execution {
		return session.runCode(t, strings.Replace(code, "sys.argv[1]", `"`+s.address+`"`, 1))
	}, refused, "False", 13)
	x := a.execute(t, object{"language": "javascript", "args": []string{s.address}, "network": allow, "code": strings.Replace(tunnelProgramNode, "LINES",
		`['\x0bGET / HTTP/1.1\r\n', Buffer.from('a0474554202f20485454502f312e310d0a', 'hex'), 'GET\x0c/\x0cHTTP/1.1\n', '() / HTTP/1.1\r\n', 'HEAD /\r\n']`, 1)})
	if x.ends(t, "succeeded"); x.Stdout != strings.Repeat("False\n", 5) {
		t.Errorf("JavaScript: got %q, %q", x.Stdout, x.Stderr)
	}
	if strings.Contains(s.receivedText(), "evil") {
		t.Errorf("the server received another host: %q", s.receivedText())
	}
	// The proxy must also forward protocols other than HTTP, even if later bytes look
	// like HTTP.
	run("other protocols", single, passed, "True", 5)
}

func TestExecuteDistinguishesOriginFromProxyErrors(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	const code = `
import os, socket, sys
host, port = os.environ["HTTP_PROXY"].removeprefix("http://").rstrip("/").split(":")
for target in sys.argv[1:]:
    s = socket.create_connection((host, int(port)))
    s.sendall(f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n".encode())
    answer = s.makefile("rb").read().lower()
    print(b"body" in answer, b"x-pyth-on-egress" in answer)
`
	const header = "X-Pyth-On-Egress: denied\r\nx-PYTH-on-Egress: failed\r\n"
	targets, allow := []string{}, []string{}
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n" + header + "Content-Length: 4\r\n\r\nbody",
		"HTTP/1.1 407 No\r\n" + header + "Content-Length: 4\r\n\r\nbody",
		"HTTP/1.1 103 Early Hints\r\n" + header + "\r\nHTTP/1.1 403 No\r\n" + header + "\r\nbody",
		"HTTP/1.1 200 OK\r\nTrailer: X-Pyth-On-Egress, X-Other\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n" + header + "\r\n",
	} {
		s := newRawServer(t, answer)
		targets, allow = append(targets, s.address), append(allow, s.address)
	}
	a.execute(t, object{"code": code, "args": targets, "network": object{"allow": allow}}).prints(t, strings.Repeat("True False\n", len(targets)))
	session := a.openSession(t, object{"language": "python", "network": object{"allow": allow}})
	quoted := `["` + strings.Join(targets, `", "`) + `"]`
	session.runCode(t, strings.Replace(code, "sys.argv[1:]", quoted, 1)).prints(t, strings.Repeat("True False\n", len(targets)))
	// Only the answers that the proxy itself creates may contain the header
	// X-Pyth-On-Egress.
	a.execute(t, object{"code": code, "args": []string{"other.test"}, "network": object{"allow": allow}}).prints(t, "False True\n")
}
