package agent

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// dialTimeout limits the time to connect to a server in the session.
const dialTimeout = 10 * time.Second

// dial connects a stream to a server in the session, and relays bytes until the
// connection has ended.
func (s *streams) dial(payload []byte, conn *protocol.Conn, stream *yamux.Stream) {
	var m protocol.Dial
	if stream.SetReadDeadline(time.Time{}) != nil || protocol.Decode(payload, &m) != nil {
		return
	}
	server, err := s.dialPort(m.Port)
	if done(conn, protocol.Done{}, err) != nil || err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var down sync.WaitGroup
	down.Go(func() { sendFrames(conn, server) })
	receiveFrames(server, conn)
	down.Wait()
}

// dialPort connects to a TCP port on the loopback addresses of the session. A socket
// belongs to the network namespace of the thread that creates it. So a thread enters the
// session's network namespace and connects.
func (s *streams) dialPort(port int) (server *net.TCPConn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread stays locked. So the thread ends with this goroutine, and no other
		// goroutine runs in the session's namespace.
		runtime.LockOSThread()
		if err = unix.Setns(s.namespaces, unix.CLONE_NEWNET); err == nil {
			server, err = dialLoopback(port)
		}
	}()
	<-done
	return server, err
}

func dialLoopback(port int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	var first error
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := dialer.DialContext(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			return tcp, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			break
		}
	}
	return nil, first
}

// portBuffer is the maximum number of bytes from the server in one Data frame.
const portBuffer = 32 << 10

// sendFrames sends the bytes from the server to the host.
func sendFrames(conn *protocol.Conn, server net.Conn) {
	buffer := make([]byte, portBuffer)
	for {
		n, err := server.Read(buffer)
		if n > 0 && conn.Send(protocol.KindData, buffer[:n]) != nil {
			return
		}
		if err != nil {
			_ = conn.Send(protocol.KindEnd, nil)
			return
		}
	}
}

// receiveFrames sends the bytes from the host to the server. If the host closes the
// stream, receiveFrames closes the connection.
func receiveFrames(server *net.TCPConn, conn *protocol.Conn) {
	for {
		kind, data, err := conn.Receive()
		switch {
		case err != nil || kind != protocol.KindData && kind != protocol.KindEnd:
			_ = server.Close()
			return
		case kind == protocol.KindEnd:
			_ = server.CloseWrite()
		default:
			if _, err := server.Write(data); err != nil {
				_ = server.Close()
				return
			}
		}
	}
}
