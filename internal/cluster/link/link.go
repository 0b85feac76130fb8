package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// window is the maximum total cost of the frames that a sender has sent and the
// receiver has not used yet. The cost of a frame is the constant frameCost plus the
// size of its payload.
const (
	window    = 512 << 10
	frameCost = 64
	// maxChunk is the maximum size of the payload of a data frame.
	maxChunk = 64 << 10
	// minChunk is the minimum size of the payload of a full data frame. A message bus
	// that does not allow such frames is not usable.
	minChunk = 1 << 10
)

// callTimeout is the maximum time until the worker receives the next part of a call's
// first message. A large job has many parts, so the transfer of the whole message may
// take longer.
const callTimeout = 10 * time.Second

var errTooLarge = errors.New("link: message too large")

// Link is one call between two processes. It is safe for concurrent use.
type Link struct {
	node *Node
	peer wire.ID
	call uint64
	// The channel "sending" contains a value while the link sends a message. This
	// prevents other messages from being sent at the same time, so that the parts of
	// two messages do not mix.
	sending chan struct{}
	// A value in the channel "canSend" wakes Send. A value in the channel "arrived"
	// wakes Receive.
	canSend, arrived chan struct{}
	// The channel "done" is closed when the field "err" is set.
	done chan struct{}

	mu  sync.Mutex
	err error

	// The field "unreceived" contains the sent frames that the receiver has not
	// acknowledged. The field "base" is the number of the first of these frames. The
	// field "spent" is the cost of all sent frames. The field "limit" is the maximum
	// cost that the receiver allows. The field "sentAt" is the time of the last
	// progress.
	unreceived  []*wire.Frame
	base, seq   uint64
	spent       uint64
	limit       uint64
	sentAt      time.Time
	lastFrameAt time.Time

	// The field "received" contains the frames that Receive has not used yet. The field
	// "expected" is the number of the next frame. The field "arrivedCost" is the cost
	// of all frames that have arrived. The field "used" is the cost of the frames that
	// Receive has used. The field "promised" is the limit that the sender knows. The
	// field "ackSince" is the time when the first unacknowledged frame arrived.
	received    []*wire.Frame
	expected    uint64
	arrivedCost uint64
	used        uint64
	promised    uint64
	ackSince    time.Time
}

func newLink(n *Node, peer wire.ID, call uint64) *Link {
	now := time.Now()
	l := &Link{
		node: n, peer: peer, call: call, limit: window, promised: window, sentAt: now, lastFrameAt: now,
		sending: make(chan struct{}, 1), canSend: make(chan struct{}, 1), arrived: make(chan struct{}, 1), done: make(chan struct{}),
	}
	return l
}

// Peer returns the ID of the other process.
func (l *Link) Peer() wire.ID { return l.peer }

// Done is closed when the call has ended for any reason.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err returns the reason why the call has ended. It returns nil if the call has not
// ended.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func cost(f *wire.Frame) uint64 { return uint64(len(f.Payload)) + frameCost }

// Send sends a message. It first waits until the receiver has used enough of the
// earlier messages. The caller must not change the message later, because the link may
// send it again after Send has returned.
func (l *Link) Send(ctx context.Context, message []byte) error { return l.send(ctx, message, 0) }

// The method "send" is like Send, but has a time limit. It fails with ErrStalled if the
// receiver uses no earlier message within the time "limit". The value 0 means no time
// limit.
func (l *Link) send(ctx context.Context, message []byte, limit time.Duration) error {
	select {
	case l.sending <- struct{}{}:
		defer func() { <-l.sending }()
	case <-l.done:
		return l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	chunk := max(min(maxChunk, l.node.config.Bus.MaxPayload()-wire.FrameOverhead), minChunk)
	for {
		part := message[:min(len(message), chunk)]
		message = message[len(part):]
		if err := l.sendPart(ctx, part, len(message) == 0, limit); err != nil {
			return err
		}
		if len(message) == 0 {
			return nil
		}
	}
}

func (l *Link) sendPart(ctx context.Context, part []byte, last bool, limit time.Duration) error {
	f := &wire.Frame{Kind: wire.FrameData, Call: l.call, Last: last, Payload: part}
	var stalled <-chan time.Time // Without a limit, this channel is never ready.
	for {
		l.mu.Lock()
		if l.err != nil {
			l.mu.Unlock()
			return l.err
		}
		if l.spent+cost(f) <= l.limit {
			break
		}
		l.mu.Unlock()
		if limit > 0 && stalled == nil {
			timer := time.NewTimer(limit)
			defer timer.Stop()
			stalled = timer.C
		}
		select {
		case <-l.canSend:
		case <-l.done:
		case <-stalled:
			return ErrStalled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer l.mu.Unlock()
	f.Seq = l.seq
	l.seq++
	l.spent += cost(f)
	if len(l.unreceived) == 0 {
		l.sentAt = time.Now()
	}
	l.unreceived = append(l.unreceived, f)
	l.transmitLocked(f)
	return nil
}

// transmitLocked sends a frame. Each frame also acknowledges the frames that this
// process has received.
func (l *Link) transmitLocked(f *wire.Frame) {
	l.promised = l.used + window
	f.Next, f.Limit = l.expected, l.promised
	l.ackSince = time.Time{}
	l.lastFrameAt = time.Now()
	l.node.send(l.peer, f)
}

func (l *Link) acknowledgeLocked() {
	l.transmitLocked(&wire.Frame{Kind: wire.FrameAck, Call: l.call})
}

// receive processes a frame of the call.
func (l *Link) receive(f *wire.Frame) {
	switch f.Kind {
	case wire.FrameEnd:
		l.fail(ErrEnded)
	case wire.FrameReset:
		l.fail(ErrReset)
	case wire.FrameData, wire.FrameAck:
		l.mu.Lock()
		l.receiveAckLocked(f)
		broken := f.Kind == wire.FrameData && !l.receiveDataLocked(f)
		l.mu.Unlock()
		if broken {
			l.fail(errTooLarge)
		}
	}
}

// receiveAckLocked removes the frames that the other process has received.
func (l *Link) receiveAckLocked(f *wire.Frame) {
	if f.Next > l.base && f.Next <= l.seq {
		l.unreceived = l.unreceived[f.Next-l.base:]
		l.base = f.Next
		l.sentAt = time.Now()
	}
	if f.Limit > l.limit {
		l.limit = f.Limit
		wake(l.canSend)
	}
}

// receiveDataLocked stores a data frame for the method Receive. It returns false if the
// sender has exceeded its limit.
func (l *Link) receiveDataLocked(f *wire.Frame) bool {
	if l.ackSince.IsZero() {
		l.ackSince = time.Now()
	}
	if f.Seq != l.expected {
		return true // The frame was repeated, or an earlier frame was lost.
	}
	if l.arrivedCost+cost(f)-l.used > window {
		return false
	}
	l.arrivedCost += cost(f)
	l.expected++
	l.received = append(l.received, f)
	wake(l.arrived)
	return true
}

// Receive returns the next message. After the end of the call, it still returns the
// messages that arrived before the end. If a message is larger than maxBytes, Receive
// ends the call. Two goroutines must not call Receive at the same time.
func (l *Link) Receive(ctx context.Context, maxBytes int) ([]byte, error) {
	var message []byte
	for {
		f, err := l.nextFrame(ctx)
		if err != nil {
			return nil, err
		}
		if len(message)+len(f.Payload) > maxBytes {
			l.fail(errTooLarge)
			return nil, errTooLarge
		}
		if message == nil && f.Last {
			return f.Payload, nil
		}
		message = append(message, f.Payload...)
		if f.Last {
			return message, nil
		}
	}
}

// nextFrame returns the next received frame. The sender may then send further frames
// with the same total cost.
func (l *Link) nextFrame(ctx context.Context) (*wire.Frame, error) {
	for {
		l.mu.Lock()
		if len(l.received) > 0 {
			f := l.received[0]
			l.received[0] = nil
			l.received = l.received[1:]
			l.used += cost(f)
			if l.used+window-l.promised > window/4 && l.err == nil {
				l.acknowledgeLocked()
			}
			l.mu.Unlock()
			return f, nil
		}
		err := l.err
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-l.arrived:
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tick sends unacknowledged frames again and acknowledges received frames. If a link
// has sent no frames for some time, tick tests whether the link still works.
func (l *Link) tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
	case len(l.unreceived) > 0 && now.Sub(l.sentAt) > retransmitAfter:
		l.sentAt = now
		for _, f := range l.unreceived {
			// Send a copy of the frame. The message bus may still use the original
			// frame, so the original must not change.
			again := *f
			l.transmitLocked(&again)
		}
	case !l.ackSince.IsZero() && now.Sub(l.ackSince) >= ackDelay, now.Sub(l.lastFrameAt) > probeAfter:
		l.acknowledgeLocked()
	}
}

// Close ends the call. Messages may be lost if the other process has not received them
// yet.
func (l *Link) Close() {
	if l.fail(ErrClosed) {
		l.node.send(l.peer, &wire.Frame{Kind: wire.FrameEnd, Call: l.call})
	}
}

// Delivered waits until the other process has received all messages. If the call fails
// first, Delivered returns false. In this case, the messages may or may not have arrived.
func (l *Link) Delivered() bool {
	for {
		l.mu.Lock()
		waiting, err := len(l.unreceived) > 0, l.err
		l.mu.Unlock()
		if err != nil {
			// ErrEnded means that the server ended the call. The server does this only
			// after it has received the answer.
			return errors.Is(err, ErrEnded)
		}
		if !waiting {
			return true
		}
		select {
		case <-l.done:
		case <-time.After(tick):
		}
	}
}

// fail ends the link with the error. It returns false if the link has already ended.
func (l *Link) fail(err error) bool {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return false
	}
	l.err = err
	l.unreceived = nil
	close(l.done)
	l.mu.Unlock()
	l.node.remove(l)
	return true
}
