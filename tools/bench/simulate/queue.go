package main

import "time"

// queue is a station with several processors and two queues. Work in the first
// queue is served before work in the second one, in the order of arrival.
type queue struct {
	clock      *clock
	processors int
	busy       int
	first      []work
	second     []work
	// used is the sum of the processor time so far.
	used time.Duration
}

type work struct {
	cost time.Duration
	then func()
}

// do serves work of the given cost, and then calls the function.
func (q *queue) do(cost time.Duration, then func()) {
	q.first = append(q.first, work{cost, then})
	q.next()
}

// later serves work only while there is no work from do.
func (q *queue) later(cost time.Duration) {
	q.second = append(q.second, work{cost, func() {}})
	q.next()
}

func (q *queue) next() {
	for q.busy < q.processors {
		var one work
		switch {
		case len(q.first) > 0:
			one, q.first = q.first[0], q.first[1:]
		case len(q.second) > 0:
			one, q.second = q.second[0], q.second[1:]
		default:
			return
		}
		q.busy++
		q.used += one.cost
		q.clock.after(one.cost, func() {
			q.busy--
			one.then()
			q.next()
		})
	}
}

// auditLog is the audit log of one database. Servers append one batch at a time, in
// the order in which they ask for the lock.
type auditLog struct {
	clock   *clock
	waiting [][]func() // by server
	asking  []int      // the servers that wait for the lock
	locked  bool
	// used is the least time in which the log can store the entries so far, in
	// batches of the maximum size.
	used time.Duration
}

// add appends an entry of a server, and calls the function when the entry is
// durable.
func (l *auditLog) add(server int, then func()) {
	l.waiting[server] = append(l.waiting[server], then)
	if len(l.waiting[server]) == 1 {
		l.asking = append(l.asking, server)
		l.next()
	}
}

func (l *auditLog) next() {
	if l.locked || len(l.asking) == 0 {
		return
	}
	server := l.asking[0]
	l.asking = l.asking[1:]
	batch := l.waiting[server]
	if len(batch) > maxBatch {
		batch = batch[:maxBatch]
		l.asking = append(l.asking, server)
	}
	l.waiting[server] = l.waiting[server][len(batch):]
	l.locked = true
	l.used += time.Duration(len(batch)) * (entryCost + batchCost/maxBatch)
	l.clock.after(batchCost+time.Duration(len(batch))*entryCost, func() {
		l.locked = false
		for _, then := range batch {
			then()
		}
		l.next()
	})
}
