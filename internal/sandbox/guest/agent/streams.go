package agent

import (
	"os"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/computer"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/files"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// requestTimeout limits the time between the start of a stream and its request.
const requestTimeout = 30 * time.Second

// streams serves the streams that the host opens in a session. Each stream is one
// operation. Goroutines serve the streams, so that operations and programs run at the
// same time. No goroutine runs outside a session.
type streams struct {
	// fd is the descriptor of the socket from the host.
	fd int
	// mux, computer and files are nil until a session begins.
	mux      *yamux.Session
	computer *computer.Computer
	files    *files.Files
	// namespaces is a descriptor of the first process in the namespaces of the session.
	namespaces int
}

// newStreams returns the streams of the socket fd.
func newStreams(fd int) *streams {
	// Mark the socket as close-on-exec, because programs must not inherit it.
	unix.CloseOnExec(fd)
	return &streams{fd: fd}
}

// serve begins to serve the streams of a session with the interpreter p. It does not wait
// for a stream. The payload is a protocol.Serve.
func (s *streams) serve(payload []byte, p *program, egress *network) error {
	var session protocol.Serve
	if err := protocol.Decode(payload, &session); err != nil || s.mux != nil {
		return err
	}
	if err := limitSession(p, &session); err != nil {
		return err
	}
	s.computer = computer.New(computer.Config{
		Init: p.init, UserID: userID, Dir: workDir, Env: append(defaultEnvironment(), session.Env...), Processes: session.Processes,
	})
	if err := s.openFiles(p); err != nil {
		return err
	}
	// Go's poller accepts only non-blocking descriptors.
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return err
	}
	var err error
	if s.mux, err = yamux.Server(protocol.JoinWrites(os.NewFile(uintptr(s.fd), "streams")), protocol.StreamsConfig()); err != nil {
		return err
	}
	if session.Network {
		// The relay ends with the sandbox.
		if _, err := egress.relay(p, s.mux, protocol.SessionProxyAddress); err != nil {
			return err
		}
	}
	go s.accept(s.mux)
	return nil
}

// openFiles opens the directories and the namespaces of the session. The operations need
// separate descriptors, because the method p.close closes the descriptors of p.
func (s *streams) openFiles(p *program) error {
	work, err := unix.FcntlInt(uintptr(p.work), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	staging, err := unix.FcntlInt(uintptr(p.staging), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.files = files.New(files.Config{Work: work, Staging: staging, UserID: userID, DiskBytes: p.disk})
	s.namespaces, err = unix.PidfdOpen(p.init, 0)
	return err
}

func (s *streams) accept(mux *yamux.Session) {
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = stream.Close() }()
			s.handle(stream)
		}()
	}
}

// limitSession sets the limits of the agent itself. The processes that the agent starts
// in the session inherit these limits. The limit on processes has no effect on the agent,
// because the agent has the capability to exceed it.
func limitSession(p *program, session *protocol.Serve) error {
	job := &job{Job: protocol.Job{Processes: session.Processes, Session: true}}
	for resource, value := range map[int]uint64{
		unix.RLIMIT_NPROC: p.processLimit(job), unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_CORE: 0,
	} {
		if err := unix.Prlimit(0, resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
			return err
		}
	}
	return nil
}

// stop waits until no process of the session is being started, and prevents further
// starts.
func (s *streams) stop() {
	if s.computer != nil {
		s.computer.Stop()
	}
}

// owned returns the processes that streams have started, with their descendants.
func (s *streams) owned() map[int]bool {
	if s.computer == nil {
		return nil
	}
	return s.computer.Owned()
}

// handle serves one operation.
func (s *streams) handle(stream *yamux.Stream) {
	if stream.SetReadDeadline(time.Now().Add(requestTimeout)) != nil {
		return
	}
	conn := protocol.NewStream(stream)
	kind, payload, err := conn.Receive()
	if err != nil || s.files.Serve(kind, payload, conn, stream) {
		return
	}
	if kind == protocol.KindDial {
		s.dial(payload, conn, stream)
		return
	}
	s.computer.Serve(kind, payload, conn, stream)
}
