package main

import "time"

// queue simulates a machine with several processors. Waiting work is in the lists
// "first" and "second", in the order of arrival. The machine starts work in "second"
// only if "first" is empty.
type queue struct {
	clock      *clock
	processors int
	busy       int
	first      []work
	second     []work
	// The field "used" is the processor time that the machine has already used.
	used time.Duration
}

type work struct {
	cost time.Duration
	then func()
}

// The method "do" adds work with the given cost. When the work is done, it calls the
// function "then".
func (q *queue) do(cost time.Duration, then func()) {
	q.first = append(q.first, work{cost, then})
	q.next()
}

// The method "later" adds work of low priority. This work starts only while no work
// that was added with the method "do" is waiting.
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

// auditLog simulates the audit log in a database. A server that appends a batch of
// entries needs the lock of the log. Servers get the lock in the order of their
// requests.
type auditLog struct {
	clock   *clock
	waiting [][]func() // by server
	asking  []int      // the servers that wait for the lock
	locked  bool
	// The field "used" is the time that the log would need for all previous entries if
	// each batch had the maximum size.
	used time.Duration
}

// The method "add" appends an entry of a server to the log. When the entry is durable,
// it calls the function "then".
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
