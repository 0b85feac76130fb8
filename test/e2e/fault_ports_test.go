package e2e_test

import (
	"strings"
	"testing"
)

// takePorts is a program that occupies ports. The server side of each connection closes
// first, so TCP keeps the port in the state TIME_WAIT for a minute. The program also
// leaves sockets of other kinds open.
const takePorts = `
import os, socket
for family, address in (socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1'):
    for port in range(5000, 5003):
        s = socket.create_server((address, port), family=family)
        c = socket.create_connection((address, port))
        a, _ = s.accept()
        a.close(); c.recv(1); c.close(); s.close()
held = [socket.create_server(('127.0.0.1', p)) for p in (5003, 8000)]
for p in 5004, 53:
    held.append(socket.socket(type=socket.SOCK_DGRAM))
    try: held[-1].bind(('127.0.0.1', p))
    except PermissionError: pass
half = socket.create_connection(('127.0.0.1', 5003))
half.sendall(b'never read')
named = socket.socket(socket.AF_UNIX)
named.bind('\0taken'); named.listen()
print(os.ttyname(os.openpty()[1]))
`

// usePorts is a program that binds the same ports as takePorts, without SO_REUSEADDR.
// It also searches for sockets that earlier programs have left.
const usePorts = `
import os, socket
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    for family, address in (socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1'):
        for port in *range(5000, 5005), 8000, 3128:
            s = socket.socket(family, kind)
            try: s.bind((address, port))
            except OSError as e: print(port, e)
            s.close()
named = socket.socket(socket.AF_UNIX)
named.bind('\0taken'); named.close()
print([l.split()[:4] for l in open('/proc/net/dev') if 'lo:' in l][0][1:3])
for table in 'tcp', 'tcp6', 'udp', 'unix':
    if open('/proc/net/' + table).read().count('\n') > 1: print(table, 'has sockets')
print(os.ttyname(os.openpty()[1]))
`

// passSockets is a program that sends sockets through other sockets. No process
// receives the sent sockets, and gVisor never frees such sockets.
const passSockets = `
import os, socket
a, b = socket.socketpair()
held = [a, b, socket.create_server(('127.0.0.1', 5000)), socket.socket(socket.AF_UNIX)]
held[3].bind('\0taken'); held[3].listen()
socket.send_fds(a, [b'x'], [s.fileno() for s in held])
if os.fork() == 0: os._exit(0)
`

func TestExecuteLeavesNoSockets(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--warm=1", "--max-sandboxes=1", "--max-running=1")
	a := s.register(t)
	const unused, clean = "/dev/pts/0\n", "['0', '0']\n/dev/pts/0\n"
	for range 3 {
		a.run(t, takePorts).prints(t, unused)
		a.run(t, usePorts).prints(t, clean)
		// These requests use the proxy in the sandbox. The program usePorts also binds
		// the port of this proxy.
		a.fetch(t, []string{"example.com"}, "http://example.com/", "http://example.org/")
		a.run(t, usePorts).prints(t, clean)
		a.run(t, passSockets).prints(t, "")
		a.run(t, usePorts).prints(t, clean)
	}
	a.execute(t, object{"language": "javascript", "code": `
const net = require('net');
const s = net.createServer(c => c.end()).listen(5000, '127.0.0.1', () =>
  net.connect(5000, '127.0.0.1').on('close', () => s.close()).resume());`}).prints(t, "")
	a.run(t, usePorts).prints(t, clean)
}

// TestSessionFreesPortsOfEndedServers starts servers in a session. The port of a server
// that has ended must be free for the next run. A server that is still running must
// keep its port.
func TestSessionFreesPortsOfEndedServers(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	s.runCode(t, "import socket\nkept = socket.create_server(('127.0.0.1', 5010))").prints(t, "")
	for range 3 {
		s.runCode(t, takePorts+"\nfor x in held: x.close()\nhalf.close(); named.close()")
		x := s.runCode(t, "import os\n"+strings.Split(usePorts, "print([l")[0])
		x.prints(t, "")
	}
	s.runCode(t, `
try: socket.socket().bind(('127.0.0.1', 5010))
except OSError as e: print(e.strerror)`).prints(t, "Address already in use\n")
}
