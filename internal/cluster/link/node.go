// Package link connects the processes of a cluster over a message bus. The message bus
// may lose messages, for example while a NATS server restarts.
//
// A Node is one process. It knows which other processes are alive. Workers regularly
// send an announcement to all servers. Each server answers with a short message, a
// beat. An announcement or a beat contains the number of the newest message that its
// sender has received from the other process. From this number, the other process knows
// when it sent that message. The clocks of the processes may differ. If an attacker
// sends old messages again, they have no effect.
//
// A Link is a call from a server to a worker. It carries messages in both directions.
// Each message arrives once and in order. A sender repeats frames that the receiver did
// not acknowledge. To limit the memory of a link, a sender waits until the receiver has
// used earlier frames. When the other process is lost, all links to this process end.
package link

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// Bus sends messages to subjects. A bus may lose messages. It keeps the order of the
// messages from one process to one subject.
type Bus interface {
	// Publish sends a message to all subscribers of the subject. It returns before the
	// subscribers have received the message. The implementation may keep the parameter
	// "data".
	Publish(subject string, data []byte) error
	// Subscribe calls the function "receive" for each message to the subject. It never
	// calls "receive" for two messages at the same time. The function may keep the
	// message.
	Subscribe(subject string, receive func([]byte)) error
	// Connected reports whether the bus can send messages now.
	Connected() bool
	// MaxPayload is the maximum size of a message in bytes.
	MaxPayload() int
	// OnConnect sets a function. The bus calls this function each time it has
	// connected.
	OnConnect(func())
}

// Subjects of messages. Workers subscribe to subjectWorkers, and servers subscribe to
// subjectServers. Each process also subscribes to a separate subject, on which only this
// process receives messages.
const (
	subjectWorkers = "pyth-on.cluster.workers"
	subjectServers = "pyth-on.cluster.servers"
	subjectNode    = "pyth-on.cluster.node."
)

// Time limits of a node. A process counts as lost if it has not answered for the time
// LostAfter. Callers learn within five seconds that a process is lost. After a pause, a
// process sends its next announcement soon, because the interval is short. So a process
// on a busy machine can pause for some seconds and does not count as lost.
const (
	announceInterval = 500 * time.Millisecond
	LostAfter        = 4500 * time.Millisecond
	// tick is the time between two searches for lost processes and lost frames. If a
	// frame is not acknowledged within retransmitAfter, the sender sends the frame
	// again.
	tick            = 100 * time.Millisecond
	retransmitAfter = 400 * time.Millisecond
	// ackDelay is the maximum time until a process acknowledges received frames.
	ackDelay = 100 * time.Millisecond
	// If a link has sent no frame for the time probeAfter, it sends another
	// acknowledgment. The answer shows whether the other process still knows the call.
	probeAfter = 2 * time.Second
)

// Errors with which links end.
var (
	// ErrLost reports that the other process has ended or cannot be reached.
	ErrLost = errors.New("link: connection to the process lost")
	// ErrReset reports that the other process does not know the call, or refused it.
	ErrReset = errors.New("link: the other process does not know the call")
	// ErrStalled reports that a worker is alive, but has not received the first message
	// of a call in time.
	ErrStalled = errors.New("link: the other process does not receive the message")
	// ErrEnded reports that the other process has ended the call.
	ErrEnded = errors.New("link: call ended")
	// ErrClosed reports that this process itself has ended the call.
	ErrClosed = errors.New("link: closed")
)

// Config configures a Node.
type Config struct {
	Bus   Bus
	Token []byte
	// Status returns the state of a worker. The field Status is nil for a server.
	Status func() wire.Status
	// Accept serves a call to a worker. Each call runs in its own goroutine. The call
	// ends when Accept returns. Accept is nil for a server.
	Accept func(*Link)
	// MaxCalls returns the maximum number of calls that a worker accepts at the same
	// time. It must not block. The field MaxCalls is nil for a server.
	MaxCalls func() int
	// Owns reports whether this worker has the session or reservation with the given
	// ID. The field Owns is nil for a server.
	Owns func(id string) bool
	// CountTenants reports whether a server needs the field Tenants in the statuses of
	// workers. It must not block. The field CountTenants is nil for a worker.
	CountTenants func() bool
	// Lost is called when a process is lost. Announced is called after each
	// announcement of a worker that is alive. Lost and Announced may be nil.
	Lost, Announced func(Peer)
	Logger          *slog.Logger
}

// Peer describes another process.
type Peer struct {
	ID wire.ID
	// Status is the last status that a worker announced.
	Status wire.Status
}

// Node is a process of the cluster. It is safe for concurrent use.
type Node struct {
	config Config
	id     wire.ID
	keys   *wire.Keys
	server bool
	stop   context.CancelFunc
	ended  sync.WaitGroup
	// The field "accepted" counts the running calls of Accept. Close waits until all
	// these calls have returned.
	accepted sync.WaitGroup
	// If a value is in the channel "announce", the node sends its next announcement
	// immediately.
	announce chan struct{}

	mu      sync.Mutex
	closed  bool
	peers   map[wire.ID]*peer
	links   map[linkKey]*Link
	calls   uint64
	sent    history
	finding map[string]chan wire.ID
	foreign time.Time
}

type linkKey struct {
	peer wire.ID
	call uint64
}

// Open starts a node.
func Open(c Config) (*Node, error) {
	n := &Node{
		config: c, id: wire.NewID(), server: c.Accept == nil, announce: make(chan struct{}, 1),
		peers: map[wire.ID]*peer{}, links: map[linkKey]*Link{}, finding: map[string]chan wire.ID{},
	}
	var err error
	if n.keys, err = wire.NewKeys(c.Token, n.id); err != nil {
		return nil, err
	}
	shared := subjectServers
	if n.server {
		shared = subjectWorkers
	}
	for _, subject := range []string{subjectNode + n.id.String(), shared} {
		if err := c.Bus.Subscribe(subject, n.receive); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.ended.Go(func() { n.tick(ctx) })
	n.ended.Go(func() { n.introduce(ctx) })
	c.Bus.OnConnect(n.Announce)
	return n, nil
}

// ID returns the ID of this process.
func (n *Node) ID() wire.ID { return n.id }

// Announce immediately sends the announcement of a worker. On a server, it asks all
// workers for their announcements.
func (n *Node) Announce() {
	select {
	case n.announce <- struct{}{}:
	default:
	}
}

// Close ends all calls, and waits until all calls of Accept have returned. A worker
// first announces that it is leaving the cluster.
func (n *Node) Close() {
	n.stop()
	n.ended.Wait()
	if !n.server {
		n.sendAnnouncement(true)
	}
	n.mu.Lock()
	n.closed = true
	links := n.linksLocked(func(*Link) bool { return true })
	n.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
	n.accepted.Wait()
}

// introduce sends the announcement of a worker every half second. On a server, it sends
// FrameHello at the start, after each new connection to the bus, and every ten seconds.
func (n *Node) introduce(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.announce:
		}
		if n.server {
			n.broadcast(subjectServers, &wire.Frame{Kind: wire.FrameHello})
			timer.Reset(20 * announceInterval)
		} else {
			n.sendAnnouncement(false)
			timer.Reset(announceInterval)
		}
	}
}

func (n *Node) sendAnnouncement(leaving bool) {
	status := n.config.Status()
	status.Leaving = status.Leaving || leaving
	n.mu.Lock()
	now := time.Now()
	counts := false
	a := wire.Announcement{Seq: n.sent.next(now), Status: status, Heard: map[string]uint64{}}
	for id, p := range n.peers {
		if now.Sub(p.heardAt) < LostAfter {
			a.Heard[id.String()] = p.heard
			counts = counts || p.countsTenants
		}
	}
	n.mu.Unlock()
	if !counts {
		a.Status.Tenants = nil
	}
	n.broadcast(subjectWorkers, &wire.Frame{Kind: wire.FrameAnnounce, Payload: wire.EncodeJSON(&a)})
}

func (n *Node) broadcast(subject string, f *wire.Frame) {
	if b, err := n.keys.Seal(wire.Everyone, f.Encode()); err == nil {
		_ = n.config.Bus.Publish(subject, b) // Ignore the error, because a later message replaces a lost message.
	}
}

func (n *Node) send(to wire.ID, f *wire.Frame) {
	if b, err := n.keys.Seal(to, f.Encode()); err == nil {
		// Ignore the error, because the node sends lost frames again.
		_ = n.config.Bus.Publish(subjectNode+to.String(), b)
	}
}

// receive processes a message. It does not block.
func (n *Node) receive(message []byte) {
	from, body, err := n.keys.Open(message)
	if err != nil {
		n.noteForeign()
		return
	}
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	f, err := wire.DecodeFrame(body)
	if err != nil || from == n.id || closed {
		return
	}
	switch f.Kind {
	case wire.FrameAnnounce:
		n.receiveAnnouncement(from, f.Payload)
	case wire.FrameBeat:
		n.receiveBeat(from, f.Payload)
	case wire.FrameHello:
		if !n.server {
			n.Announce()
		}
	case wire.FrameFind:
		if !n.server && n.config.Owns(string(f.Payload)) {
			n.send(from, &wire.Frame{Kind: wire.FrameFound, Payload: f.Payload})
		}
	case wire.FrameFound:
		n.receiveFound(from, string(f.Payload))
	default:
		n.receiveCall(from, f)
	}
}

// noteForeign logs that this process receives messages that were encrypted with another
// joining token. It logs no more than once a minute.
func (n *Node) noteForeign() {
	n.mu.Lock()
	now := time.Now()
	quiet := !n.foreign.IsZero() && now.Sub(n.foreign) < time.Minute
	if !quiet {
		n.foreign = now
	}
	n.mu.Unlock()
	if !quiet {
		n.config.Logger.Warn("message refused: it does not have the joining token of this cluster",
			"hint", "use the same joining token for all servers and workers, or a separate NATS account for each cluster")
	}
}

// receiveCall processes a frame of a call.
func (n *Node) receiveCall(from wire.ID, f *wire.Frame) {
	n.mu.Lock()
	l := n.links[linkKey{from, f.Call}]
	if l == nil {
		var known bool
		if l, known = n.acceptLocked(from, f); l == nil {
			n.mu.Unlock()
			// If this process does not know the call, answer with a reset. Do not
			// answer if the frame is itself a reset or a FrameEnd. Otherwise two
			// processes could answer each other forever.
			if !known && f.Kind != wire.FrameReset && f.Kind != wire.FrameEnd {
				n.send(from, &wire.Frame{Kind: wire.FrameReset, Call: f.Call})
			}
			return
		}
	}
	n.mu.Unlock()
	l.receive(f)
}

// acceptLocked creates the link for a new call. It accepts each call ID only once, so
// that a repeated frame cannot start the call again. The result "wait" is true if the
// first frame of the call was lost. In this case, the server will send the frame again.
func (n *Node) acceptLocked(from wire.ID, f *wire.Frame) (l *Link, wait bool) {
	p := n.peers[from]
	if n.server || n.closed || p == nil || !p.alive || f.Kind != wire.FrameData || !p.calls.isNew(f.Call) {
		return nil, false
	}
	if f.Seq != 0 {
		return nil, true
	}
	p.calls.add(f.Call)
	if len(n.links) >= n.config.MaxCalls() {
		return nil, false
	}
	l = n.newLinkLocked(from, f.Call)
	n.accepted.Go(func() {
		n.config.Accept(l)
		l.Delivered()
		l.Close()
	})
	return l, false
}

func (n *Node) newLinkLocked(peer wire.ID, call uint64) *Link {
	l := newLink(n, peer, call)
	n.links[linkKey{peer, call}] = l
	return l
}

// Call opens a call to a worker and sends the first message.
func (n *Node) Call(ctx context.Context, to wire.ID, message []byte) (*Link, error) {
	n.mu.Lock()
	p := n.peers[to]
	if n.closed || p == nil || !p.alive {
		n.mu.Unlock()
		return nil, ErrLost
	}
	n.calls++
	l := n.newLinkLocked(to, n.calls)
	n.mu.Unlock()
	if err := l.send(ctx, message, callTimeout); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (n *Node) linksLocked(which func(*Link) bool) []*Link {
	var all []*Link
	for _, l := range n.links {
		if which(l) {
			all = append(all, l)
		}
	}
	return all
}

func (n *Node) remove(l *Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, linkKey{l.peer, l.call})
}

// tick looks for lost processes, and sends lost frames again.
func (n *Node) tick(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// If this process did not run for a while, the connection may hold answers that
		// this process has not read yet. Process these answers before the search for
		// lost processes.
		late := time.Since(last) > 5*tick
		last = time.Now()
		if !late {
			n.loseSilentPeers()
		}
		n.mu.Lock()
		links := n.linksLocked(func(*Link) bool { return true })
		n.mu.Unlock()
		now := time.Now()
		for _, l := range links {
			l.tick(now)
		}
	}
}
