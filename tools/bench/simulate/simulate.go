package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// result contains the result of a simulation.
type result struct {
	deployment
	rate float64
	// median and p99 are the 50th and the 99th percentile of the latencies of runs.
	median, p99 time.Duration
	// The field "warm" is the fraction of runs whose user had an idle sandbox.
	warm float64
	// The field "used" contains the utilisation of each part of the deployment. If a
	// part is completely busy, its utilisation is nearly 1. It is never more than 1.
	used []load
	// The field "growing" is true if the deployment cannot execute runs at this rate.
	// In this case, the requests in the last quarter took much longer than the requests
	// in the second quarter.
	growing bool
}

// load is the utilisation of one part of the deployment, a number from 0 to 1.
type load struct {
	part  string
	value float64
}

const heading = "" +
	"      rate  servers  workers  NATS  p50 ms   p99 ms   warm  servers workers   NATS  audit log  database  full part"

func (r result) String() string {
	text := fmt.Sprintf("%10.0f %8d %8d %5d %7.1f %8.1f %5.1f%%", r.rate, r.Servers, r.Workers, r.Brokers,
		r.median.Seconds()*1e3, r.p99.Seconds()*1e3, r.warm*100)
	for i, u := range r.used {
		text += fmt.Sprintf("%*.0f%%", []int{8, 7, 6, 10, 9}[i], u.value*100)
	}
	full := "none"
	if r.growing {
		full = slices.MaxFunc(r.used, func(a, b load) int { return cmp.Compare(a.value, b.value) }).part
	}
	return text + "  " + full
}

// simulation contains the state of all simulated machines.
type simulation struct {
	deployment
	clock   *clock
	random  *rand.Rand
	users   *users
	servers []*queue
	workers []*queue
	brokers []*queue
	logs    []*auditLog
	stores  []*queue
	// lastRun contains the time of the last run of each user.
	lastRun  []time.Duration
	warmTime time.Duration
	warm     int
}

// simulate simulates the given number of runs and returns the result. The runs arrive
// at the given rate.
func simulate(d deployment, rate float64, runs int, seed uint64) result {
	u := newUsers(max(1, int(rate)*d.UsersPerRate))
	d = d.sized(u, rate)
	s := &simulation{deployment: d, users: u, clock: &clock{}, random: rand.New(rand.NewPCG(seed, 0))}
	s.warmTime = d.warmTime(s.users, rate)
	s.servers, s.workers = s.queues(d.Servers, d.Cores), s.queues(d.Workers, d.Cores)
	s.brokers, s.stores = s.queues(d.Brokers, d.Cores), s.queues(d.Logs, d.Cores)
	for range d.Logs {
		s.logs = append(s.logs, &auditLog{clock: s.clock, waiting: make([][]func(), d.Servers)})
	}
	s.lastRun = make([]time.Duration, len(s.users.sums))
	for user := range s.lastRun {
		idle := s.random.ExpFloat64() / s.users.rate(user, rate)
		s.lastRun[user] = -time.Duration(min(idle, 1e9) * float64(time.Second))
	}
	latencies := make([]time.Duration, 0, runs)
	sent := 0
	var arrive func()
	arrive = func() {
		start := s.clock.now
		s.request(func() { latencies = append(latencies, s.clock.now-start) })
		if sent++; sent < runs {
			s.clock.after(time.Duration(s.random.ExpFloat64()/rate*float64(time.Second)), arrive)
		}
	}
	arrive()
	s.clock.run(func() bool { return sent == runs })
	arriving := s.clock.now
	used := s.utilisation(arriving)
	s.clock.run(func() bool { return len(latencies) == runs })

	quarter := runs / 4
	growing := percentile(latencies[3*quarter:], 0.5) > 2*percentile(latencies[quarter:2*quarter], 0.5)+10*time.Millisecond ||
		s.clock.now > 2*arriving+time.Second
	return result{
		deployment: d, rate: rate, median: percentile(latencies, 0.5), p99: percentile(latencies, 0.99),
		warm: float64(s.warm) / float64(runs), used: used, growing: growing,
	}
}

func (s *simulation) queues(number, processors int) []*queue {
	all := make([]*queue, number)
	for i := range all {
		all[i] = &queue{clock: s.clock, processors: processors}
	}
	return all
}

// request simulates one run. The messages of the run go through the load balancer, a
// server, NATS, a worker, NATS again, and the server again. The server writes the audit
// log entry and answers the client. After the answer, the server stores the record of
// the run.
func (s *simulation) request(answered func()) {
	user := sort.SearchFloat64s(s.users.sums, s.random.Float64())
	user = min(user, len(s.users.sums)-1)
	number := s.random.IntN(s.Servers)
	server, broker, shard := s.servers[number], s.brokers[s.random.IntN(s.Brokers)], user%s.Logs
	worker := s.place(user)
	s.steps(
		answered,
		s.travel, use(server, serverCost/2),
		s.travel, use(broker, messages*brokerCost/2),
		s.travel, func(next func()) { s.execute(user, worker, next) },
		s.travel, use(broker, messages*brokerCost/2),
		s.travel, use(server, serverCost/2),
		s.travel, func(next func()) { s.logs[shard].add(number, next) },
		s.travel, s.travel,
		func(next func()) { s.stores[shard].do(recordCost, func() {}); next() },
	)
}

// place returns the worker that executes a run of the user. Each user has a different
// order of the workers. The method returns the first worker in this order on which no
// run is waiting. This method is called consistent hashing with bounded loads.
func (s *simulation) place(user int) *queue {
	for i := range uint64(s.Workers) {
		worker := s.workers[mix(uint64(user)<<20+i)%uint64(s.Workers)]
		if len(worker.first) == 0 {
			return worker
		}
	}
	return s.workers[mix(uint64(user)<<20)%uint64(s.Workers)]
}

// mix returns a hash of x (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// execute simulates the run of a program on a worker. A user without a sandbox gets a
// sandbox that the worker has booted in advance. The worker boots a replacement as soon
// as no run is waiting.
func (s *simulation) execute(user int, worker *queue, ended func()) {
	if s.clock.now-s.lastRun[user] <= s.warmTime {
		s.warm++
	} else {
		const slices = 25 // With slices, a run never waits for a whole boot.
		for range slices {
			worker.later(bootCost / slices)
		}
	}
	s.lastRun[user] = s.clock.now
	worker.do(workerCost, ended)
}

// step is a part of the path of a run through the deployment. When the step ends, it
// calls the function "next".
type step func(next func())

// The method "steps" simulates the given steps one after the other. After the last
// step, it calls the function "end".
func (s *simulation) steps(end func(), all ...step) {
	next := end
	for _, one := range slices.Backward(all) {
		following := next
		next = func() { one(following) }
	}
	next()
}

// travel simulates the delay of a message between two machines.
func (s *simulation) travel(next func()) { s.clock.after(networkDelay, next) }

func use(q *queue, cost time.Duration) step {
	return func(next func()) { q.do(cost, next) }
}

func (s *simulation) utilisation(passed time.Duration) []load {
	of := func(part string, all []*queue) load {
		sum := 0.0
		for _, q := range all {
			sum += q.used.Seconds() / float64(q.processors)
		}
		return load{part, sum / float64(len(all)) / passed.Seconds()}
	}
	logs := 0.0
	for _, l := range s.logs {
		logs += l.used.Seconds() / float64(len(s.logs))
	}
	return []load{
		of("servers", s.servers), of("workers", s.workers), of("NATS", s.brokers),
		{"audit log", logs / passed.Seconds()},
		of("database", s.stores),
	}
}

func percentile(all []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
