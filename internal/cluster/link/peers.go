package link

import (
	"context"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// peer contains the state of another process.
type peer struct {
	Peer
	alive bool
	// The field "heard" is the number of the newest message from the process. This
	// message is an announcement of a worker or a beat of a server. The field "heardAt"
	// is the time when the message arrived.
	heard   uint64
	heardAt time.Time
	// The field "proven" is the time when this process sent the newest message that the
	// other process has certainly received. The time is from the clock of this process.
	proven time.Time
	// The field "calls" contains the newest calls from the process if it is a server.
	calls recentCalls
	// countsTenants is true if the other process is a server that needs the field
	// Tenants in the status of a worker.
	countsTenants bool
	// The field "beats" contains the times at which this server sent its last beats to
	// the worker. A beat is the answer to an announcement.
	beats history
}

// maxPeers is the maximum number of processes that a node remembers. If there are more
// processes, the node forgets lost processes first.
const maxPeers = 20_000

// callWindow limits how late a call can arrive. The worker refuses a call if the server
// has sent this number of later calls.
const callWindow = 4096

// recentCalls contains the calls that this worker has received from a server. The
// server numbers its calls. The first messages of the calls can arrive in a different
// order, because calls start in parallel and lost messages are sent again.
type recentCalls struct {
	// The field "seen" has one bit for each of the newest calls. The position of the
	// bit is the ID of the call modulo callWindow.
	seen [callWindow / 64]uint64
	// The field "last" is the highest call ID so far.
	last uint64
}

// isNew reports whether the worker can accept the call. The call must be among the
// newest calls, and the worker must not have accepted it before.
func (c *recentCalls) isNew(call uint64) bool {
	if call > c.last {
		return true
	}
	return c.last-call < callWindow && c.seen[call%callWindow/64]&(1<<(call%64)) == 0
}

// The method "add" records a new call.
func (c *recentCalls) add(call uint64) {
	if call > c.last && call-c.last >= callWindow {
		c.seen = [callWindow / 64]uint64{}
		c.last = call
	}
	for c.last < call {
		c.last++
		c.seen[c.last%callWindow/64] &^= 1 << (c.last % 64)
	}
	c.seen[call%callWindow/64] |= 1 << (call % 64)
}

// history contains the times at which this process sent its most recent messages.
type history struct {
	seq  uint64
	sent [64]time.Time
}

// The method "next" stores the time of a message that this process sends now. It
// returns the number of the message.
func (h *history) next(now time.Time) uint64 {
	h.seq++
	h.sent[h.seq%uint64(len(h.sent))] = now
	return h.seq
}

// The method "at" returns the time at which this process sent the message with the
// given number. It returns zero if the message is too old or was not sent.
func (h *history) at(seq uint64) time.Time {
	if seq == 0 || seq > h.seq || h.seq-seq >= uint64(len(h.sent)) {
		return time.Time{}
	}
	return h.sent[seq%uint64(len(h.sent))]
}

// prove records that the other process has received a message. This process sent the
// message at the time "sent".
func (p *peer) prove(sent, now time.Time) {
	if sent.After(p.proven) {
		p.proven = sent
	}
	p.alive = p.alive || !p.proven.IsZero() && now.Sub(p.proven) < LostAfter
}

// peerLocked returns the entry of a process, and creates it if necessary. It returns
// nil if there are too many processes.
func (n *Node) peerLocked(id wire.ID) *peer {
	p := n.peers[id]
	if p == nil {
		if len(n.peers) >= maxPeers {
			for other, q := range n.peers {
				if !q.alive && time.Since(q.heardAt) > time.Hour {
					delete(n.peers, other)
				}
			}
		}
		if len(n.peers) >= maxPeers {
			return nil
		}
		p = &peer{Peer: Peer{ID: id}}
		n.peers[id] = p
	}
	return p
}

// receiveAnnouncement processes the announcement of a worker.
func (n *Node) receiveAnnouncement(from wire.ID, payload []byte) {
	var a wire.Announcement
	if !n.server || wire.DecodeJSON(payload, &a) != nil {
		return
	}
	now := time.Now()
	n.mu.Lock()
	p := n.peerLocked(from)
	if p == nil || a.Seq <= p.heard {
		n.mu.Unlock()
		return
	}
	first := p.heard == 0
	delete(a.Status.Tenants, n.id.String()) // Ignore these numbers, because this server counts its jobs itself.
	p.heard, p.heardAt, p.Status = a.Seq, now, a.Status
	if a.Status.Leaving {
		n.mu.Unlock()
		n.lose(p)
		return
	}
	p.prove(p.beats.at(a.Heard[n.id.String()]), now)
	beat := wire.Beat{Seq: p.beats.next(now), Heard: a.Seq, CountTenants: n.config.CountTenants != nil && n.config.CountTenants()}
	announced, alive := p.Peer, p.alive
	n.mu.Unlock()
	// If the process is not alive, do not call Announced. Lost would never be called
	// for this process, so nothing would undo the effect of Announced.
	if alive && n.config.Announced != nil {
		n.config.Announced(announced)
	}
	n.send(from, &wire.Frame{Kind: wire.FrameBeat, Payload: wire.EncodeJSON(&beat)})
	if first {
		n.greet(a.Status)
	}
}

// greet logs that a new worker has joined the cluster.
func (n *Node) greet(s wire.Status) {
	if s.Protocol != wire.Protocol {
		n.config.Logger.Warn("worker has a different protocol version and gets no jobs", "worker", s.Name, "version", s.Version,
			"protocol", s.Protocol, "expected", wire.Protocol, "hint", "use the same version of pyth-on for all servers and workers")
		return
	}
	n.config.Logger.Info("worker joined", "worker", s.Name, "version", s.Version)
}

// receiveBeat processes the answer of a server to an announcement.
func (n *Node) receiveBeat(from wire.ID, payload []byte) {
	var b wire.Beat
	if n.server || wire.DecodeJSON(payload, &b) != nil {
		return
	}
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peerLocked(from)
	if p == nil || b.Seq <= p.heard {
		return
	}
	first := p.heard == 0
	p.heard, p.heardAt, p.countsTenants = b.Seq, now, b.CountTenants
	p.prove(n.sent.at(b.Heard), now)
	if first {
		// Send an announcement immediately. The announcement shows the server that this
		// worker receives the server's beats. Before this, the server sends no jobs to
		// this worker.
		n.Announce()
	}
}

// loseSilentPeers ends the calls to processes that have not answered for the time
// LostAfter.
func (n *Node) loseSilentPeers() {
	now := time.Now()
	n.mu.Lock()
	var lost []*peer
	for _, p := range n.peers {
		if p.alive && now.Sub(p.proven) > LostAfter {
			lost = append(lost, p)
		}
	}
	n.mu.Unlock()
	for _, p := range lost {
		n.lose(p)
	}
}

func (n *Node) lose(p *peer) {
	n.mu.Lock()
	was := p.alive
	p.alive = false
	gone := p.Peer
	links := n.linksLocked(func(l *Link) bool { return l.peer == p.ID })
	n.mu.Unlock()
	for _, l := range links {
		l.fail(ErrLost)
	}
	if was && n.config.Lost != nil {
		n.config.Lost(gone)
	}
}

// Alive returns the processes that are alive.
func (n *Node) Alive() []Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Peer
	for _, p := range n.peers {
		if p.alive {
			all = append(all, p.Peer)
		}
	}
	return all
}

// Peer returns a process. The process is alive, or it was alive before.
func (n *Node) Peer(id wire.ID) (Peer, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[id]
	if p == nil {
		return Peer{}, false
	}
	return p.Peer, true
}

// IsAlive reports whether the process is alive.
func (n *Node) IsAlive(id wire.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[id]
	return p != nil && p.alive
}

// Find returns the worker that has the session or reservation. It returns false if no
// worker has answered before ctx ends.
func (n *Node) Find(ctx context.Context, id string) (wire.ID, bool) {
	n.mu.Lock()
	found := n.finding[id]
	if found == nil {
		found = make(chan wire.ID, 1)
		n.finding[id] = found
	}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.finding[id] == found {
			delete(n.finding, id)
		}
	}()
	n.broadcast(subjectServers, &wire.Frame{Kind: wire.FrameFind, Payload: []byte(id)})
	select {
	case worker := <-found:
		found <- worker // Put the answer back, because other callers may wait for it.
		return worker, true
	case <-ctx.Done():
		return wire.ID{}, false
	}
}

func (n *Node) receiveFound(from wire.ID, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case n.finding[id] <- from:
	default: // No caller waits, or a worker has already answered.
	}
}
