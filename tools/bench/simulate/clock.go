package main

import (
	"container/heap"
	"time"
)

// clock contains the simulated time and the future events.
type clock struct {
	now    time.Duration
	events events
	serial int
}

// The method "after" adds an event: it calls the function f when the simulated duration
// d has passed.
func (c *clock) after(d time.Duration, f func()) {
	c.serial++
	heap.Push(&c.events, event{c.now + d, c.serial, f})
}

// run calls the functions of all events in the order of their times. It stops when
// there are no more events, or when the function "done" returns true.
func (c *clock) run(done func() bool) {
	for len(c.events) > 0 && !done() {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.f()
	}
}

type event struct {
	at     time.Duration
	serial int // orders the events of the same time
	f      func()
}

// events implements heap.Interface.
type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}

func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
