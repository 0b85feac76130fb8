// Package linktest provides a message bus in memory for tests.
package linktest

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

// Hub connects the buses of several processes. Messages arrive after the time Delay, in
// the order in which they were sent.
type Hub struct {
	delay time.Duration

	mu    sync.Mutex
	buses []*Bus
	// The function "drop" decides whether the hub loses a message.
	drop func(subject string, data []byte) bool
	sent [][]byte
}

// NewHub returns a Hub without buses.
func NewHub(delay time.Duration) *Hub { return &Hub{delay: delay} }

// Drop sets a function that decides whether the hub loses a message. If the function is
// nil, the hub loses no messages.
func (h *Hub) Drop(drop func(subject string, data []byte) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop = drop
}

// Sent returns all messages that the processes have sent.
func (h *Hub) Sent() [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent
}

// Bus returns a new bus for another process.
func (h *Hub) Bus() *Bus {
	b := &Bus{hub: h, handlers: map[string]func([]byte){}, incoming: make(chan delivery, 100_000), closed: make(chan struct{})}
	h.mu.Lock()
	h.buses = append(h.buses, b)
	h.mu.Unlock()
	b.ended.Go(b.deliver)
	return b
}

// Bus implements link.Bus.
type Bus struct {
	hub      *Hub
	incoming chan delivery
	closed   chan struct{}
	ended    sync.WaitGroup

	mu       sync.Mutex
	handlers map[string]func([]byte)
	cut      bool
}

type delivery struct {
	at      time.Time
	subject string
	data    []byte
}

// Cut interrupts the connection of the bus or restores it.
func (b *Bus) Cut(cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = cut
}

// Close ends the connection.
func (b *Bus) Close() {
	b.Cut(true)
	close(b.closed)
	b.ended.Wait()
}

// Connected returns false while the connection is interrupted by Cut.
func (b *Bus) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.cut
}

// MaxPayload returns the maximum size of a message.
func (b *Bus) MaxPayload() int { return 32 << 10 }

// OnConnect calls f once, because the bus is already connected.
func (b *Bus) OnConnect(f func()) { f() }

// Subscribe calls the function "receive" for each message to the subject.
func (b *Bus) Subscribe(subject string, receive func([]byte)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers[subject] = receive
	return nil
}

// Publish sends a message to all buses.
func (b *Bus) Publish(subject string, data []byte) error {
	if !b.Connected() {
		return errors.New("not connected")
	}
	return b.hub.Inject(subject, data)
}

// Inject sends a message to all buses. Tests use it to act as an attacker.
func (h *Hub) Inject(subject string, data []byte) error {
	if len(data) > 32<<10 {
		return errors.New("message too large")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, bytes.Clone(data))
	if h.drop != nil && h.drop(subject, data) {
		return nil
	}
	for _, b := range h.buses {
		b.incoming <- delivery{time.Now().Add(h.delay), subject, bytes.Clone(data)}
	}
	return nil
}

func (b *Bus) deliver() {
	for {
		select {
		case d := <-b.incoming:
			time.Sleep(time.Until(d.at))
			b.mu.Lock()
			handler, cut := b.handlers[d.subject], b.cut
			b.mu.Unlock()
			if handler != nil && !cut {
				handler(d.data)
			}
		case <-b.closed:
			return
		}
	}
}
