package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/link/linktest"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

var token = []byte("a joining token for tests")

// pair is a server and a worker that are connected to the same hub.
type pair struct {
	hub               *linktest.Hub
	serverBus         *linktest.Bus
	workerBus         *linktest.Bus
	server, worker    *link.Node
	lost, lostServers atomic.Int64
	close             func()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newPair starts a server and a worker, and waits until the server knows the worker.
func newPair(t *testing.T, accept func(*link.Link)) *pair {
	t.Helper()
	return newSlowPair(t, time.Millisecond, accept)
}

// newSlowPair is like newPair, but each message arrives after the given delay.
func newSlowPair(t *testing.T, delay time.Duration, accept func(*link.Link)) *pair {
	t.Helper()
	p := &pair{hub: linktest.NewHub(delay)}
	p.serverBus, p.workerBus = p.hub.Bus(), p.hub.Bus()
	var err error
	p.worker, err = link.Open(link.Config{
		Bus: p.workerBus, Token: token, Accept: accept, MaxCalls: func() int { return 8 }, Logger: discard(),
		Status: func() wire.Status { return wire.Status{Protocol: wire.Protocol, Name: "w"} },
		Owns:   func(id string) bool { return id == "mine" }, Lost: func(link.Peer) { p.lostServers.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.server, err = link.Open(link.Config{Bus: p.serverBus, Token: token, Logger: discard(), Lost: func(link.Peer) { p.lost.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * delay)
	if !p.server.IsAlive(p.worker.ID()) || !p.worker.IsAlive(p.server.ID()) {
		t.Fatal("server and worker do not know each other")
	}
	p.close = func() {
		p.server.Close()
		p.worker.Close()
		p.serverBus.Close()
		p.workerBus.Close()
	}
	return p
}

// echo receives the messages of a call and sends each message back.
func echo(l *link.Link) {
	for {
		m, err := l.Receive(context.Background(), 1<<20)
		if err != nil || l.Send(context.Background(), m) != nil {
			return
		}
	}
}

func message(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(n + i)
	}
	return b
}

func TestLinkDeliversMessagesInOrderDespiteLoss(t *testing.T) {
	for _, loss := range []float64{0, 0.05, 0.3} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, echo)
			defer p.close()
			random := rand.New(rand.NewPCG(1, 2))
			p.hub.Drop(func(string, []byte) bool { return random.Float64() < loss })
			sizes := []int{0, 1, 100, 40_000, 300_000, 7}
			l, err := p.server.Call(t.Context(), p.worker.ID(), message(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range append([]int{3}, sizes...) {
				if n != 3 {
					if err := l.Send(t.Context(), message(n)); err != nil {
						t.Fatal(err)
					}
				}
				got, err := l.Receive(t.Context(), 1<<20)
				if err != nil || !bytes.Equal(got, message(n)) {
					t.Fatalf("loss %v: message of %d bytes: got %d bytes, %v", loss, n, len(got), err)
				}
			}
			l.Close()
		})
	}
}

func TestCallToStalledWorkerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		p := newPair(t, func(*link.Link) { <-stop })
		defer p.close()
		defer close(stop)
		began := time.Now()
		if _, err := p.server.Call(t.Context(), p.worker.ID(), message(2<<20)); !errors.Is(err, link.ErrStalled) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("the call failed after %v", took)
		}
		// The message of this call is smaller than the window, so the call does not
		// wait for the receiver.
		l, err := p.server.Call(t.Context(), p.worker.ID(), message(1000))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}

func TestSlowCallSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan int, 1)
		p := newSlowPair(t, 400*time.Millisecond, func(l *link.Link) {
			m, _ := l.Receive(context.Background(), 8<<20)
			received <- len(m)
		})
		defer p.close()
		began := time.Now()
		l, err := p.server.Call(t.Context(), p.worker.ID(), message(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		if n := <-received; n != 8<<20 {
			t.Errorf("the worker received %d bytes", n)
		}
		// The time limit callTimeout applies to each part of a message, so the whole
		// call may take longer.
		if took := time.Since(began); took < 10*time.Second {
			t.Errorf("the call took only %v", took)
		}
		l.Close()
	})
}

func TestCallsCanArriveInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		defer p.close()
		// The message bus loses the first message of the first call. The link sends
		// this message again after the second call.
		var lost [][]byte
		p.hub.Drop(func(_ string, b []byte) bool {
			if len(b) > 10_000 && len(lost) == 0 {
				lost = append(lost, bytes.Clone(b))
				return true
			}
			return false
		})
		first, err := p.server.Call(t.Context(), p.worker.ID(), message(10_000))
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.server.Call(t.Context(), p.worker.ID(), message(3))
		if err != nil {
			t.Fatal(err)
		}
		for l, size := range map[*link.Link]int{second: 3, first: 10_000} {
			if got, err := l.Receive(t.Context(), 1<<20); err != nil || len(got) != size {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			l.Close()
		}
		// Send an old message of an ended call again. The message must not start the
		// call again.
		time.Sleep(time.Second)
		sent := len(p.hub.Sent())
		if err := p.hub.Inject("pyth-on.cluster.node."+p.worker.ID().String(), lost[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		for _, b := range p.hub.Sent()[sent+1:] {
			if len(b) > 10_000 {
				t.Error("the worker answered a repeated call")
			}
		}
	})
}

func TestSlowReceiverBlocksSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		p := newPair(t, func(l *link.Link) {
			_, _ = l.Receive(context.Background(), 1<<20)
			for l.Send(context.Background(), message(10_000)) == nil {
				sent.Add(1)
			}
		})
		defer p.close()
		l, err := p.server.Call(t.Context(), p.worker.ID(), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		before := sent.Load()
		if before == 0 || before > 60 {
			t.Errorf("the sender sent %d messages of 10 kB to a receiver that reads nothing", before)
		}
		for range 200 {
			if m, err := l.Receive(t.Context(), 1<<20); err != nil || len(m) != 10_000 {
				t.Fatal(len(m), err)
			}
		}
		if after := sent.Load(); after < before+100 {
			t.Errorf("the sender did not go on: %d messages before, %d after", before, after)
		}
		l.Close()
	})
}

func TestTooLargeMessageEndsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func(l *link.Link) { _ = l.Send(context.Background(), message(100_000)) })
		defer p.close()
		l, err := p.server.Call(t.Context(), p.worker.ID(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := l.Receive(t.Context(), 50_000); err == nil {
			t.Errorf("received %d bytes", len(m))
		}
	})
}

func TestLostWorkerEndsCallsWithinFiveSeconds(t *testing.T) {
	for name, cut := range map[string]func(*pair){
		"worker unreachable": func(p *pair) { p.workerBus.Cut(true) },
		"server unreachable": func(p *pair) { p.serverBus.Cut(true) },
		"one direction": func(p *pair) {
			p.hub.Drop(func(subject string, _ []byte) bool {
				return subject == "pyth-on.cluster.node."+p.worker.ID().String()
			})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			workerEnded := make(chan time.Time, 1)
			p := newPair(t, func(l *link.Link) {
				<-l.Done()
				workerEnded <- time.Now()
			})
			defer p.close()
			l, err := p.server.Call(t.Context(), p.worker.ID(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			start := time.Now()
			cut(p)
			<-l.Done()
			if took := time.Since(start); took > 5*time.Second || !errors.Is(l.Err(), link.ErrLost) && !errors.Is(l.Err(), link.ErrReset) {
				t.Errorf("%s: the server noticed after %v: %v", name, took, l.Err())
			}
			if took := (<-workerEnded).Sub(start); took > 5*time.Second {
				t.Errorf("%s: the worker noticed after %v", name, took)
			}
		})
	}
}

func TestCallSurvivesShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		defer p.close()
		l, err := p.server.Call(t.Context(), p.worker.ID(), []byte("first"))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := l.Receive(t.Context(), 100); err != nil || string(m) != "first" {
			t.Fatal(string(m), err)
		}
		p.hub.Drop(func(string, []byte) bool { return true })
		if err := l.Send(t.Context(), []byte("second")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		p.hub.Drop(nil)
		if m, err := l.Receive(t.Context(), 100); err != nil || string(m) != "second" {
			t.Errorf("%q, %v", m, err)
		}
		if p.lost.Load()+p.lostServers.Load() != 0 {
			t.Error("a process was lost")
		}
		l.Close()
	})
}

func TestPeersComeBackAfterOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		defer p.close()
		p.workerBus.Cut(true)
		time.Sleep(time.Minute)
		if p.server.IsAlive(p.worker.ID()) || p.lost.Load() != 1 || p.lostServers.Load() != 1 {
			t.Fatal("the worker was not lost")
		}
		if _, err := p.server.Call(t.Context(), p.worker.ID(), nil); !errors.Is(err, link.ErrLost) {
			t.Errorf("call to a lost worker: %v", err)
		}
		p.workerBus.Cut(false)
		time.Sleep(3 * time.Second)
		if l, err := p.server.Call(t.Context(), p.worker.ID(), []byte("x")); err != nil {
			t.Error(err)
		} else if m, err := l.Receive(t.Context(), 10); err != nil || string(m) != "x" {
			t.Errorf("%q, %v", m, err)
		}
	})
}

func TestReplayedMessagesStartNoCallAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		p := newPair(t, func(l *link.Link) {
			calls.Add(1)
			echo(l)
		})
		defer p.close()
		for i := range 3 {
			l, err := p.server.Call(t.Context(), p.worker.ID(), fmt.Append(nil, i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Receive(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
		time.Sleep(time.Second)
		recorded := slices.Clone(p.hub.Sent())
		p.server.Close()
		time.Sleep(10 * time.Second)
		for _, m := range recorded {
			for _, subject := range []string{"pyth-on.cluster.workers", "pyth-on.cluster.servers", "pyth-on.cluster.node." + p.worker.ID().String()} {
				_ = p.hub.Inject(subject, m)
			}
		}
		time.Sleep(time.Second)
		if calls.Load() != 3 {
			t.Errorf("%d calls", calls.Load())
		}
		if p.worker.IsAlive(p.server.ID()) {
			t.Error("recorded messages made a closed server alive")
		}
	})
}

func TestForeignProcessesCannotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		defer p.close()
		bus := p.hub.Bus()
		defer bus.Close()
		foreign, err := link.Open(link.Config{Bus: bus, Token: []byte("another joining token"), Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		time.Sleep(5 * time.Second)
		if len(foreign.Alive()) != 0 || len(p.worker.Alive()) != 1 {
			t.Error("a process with another token joined")
		}
		if _, err := link.Open(link.Config{Bus: bus, Token: []byte("short"), Logger: discard()}); err == nil {
			t.Error("short token accepted")
		}
	})
}

func TestWorkerLimitsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func(l *link.Link) { <-l.Done() })
		defer p.close()
		var links []*link.Link
		for range 9 {
			l, err := p.server.Call(t.Context(), p.worker.ID(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			links = append(links, l)
		}
		<-links[8].Done()
		if err := links[8].Err(); !errors.Is(err, link.ErrReset) {
			t.Error(err)
		}
		for _, l := range links[:8] {
			if l.Err() != nil {
				t.Error(l.Err())
			}
			l.Close()
		}
	})
}

func TestLeavingWorkerIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		l, err := p.server.Call(t.Context(), p.worker.ID(), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p.worker.Close()
		<-l.Done()
		if time.Since(start) > time.Second || p.server.IsAlive(p.worker.ID()) {
			t.Errorf("noticed after %v", time.Since(start))
		}
		p.server.Close()
		p.serverBus.Close()
		p.workerBus.Close()
	})
}

func TestFindReturnsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, echo)
		defer p.close()
		if id, ok := p.server.Find(t.Context(), "mine"); !ok || id != p.worker.ID() {
			t.Error("owner not found")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := p.server.Find(ctx, "other"); ok {
			t.Error("found an owner of an unknown session")
		}
	})
}
