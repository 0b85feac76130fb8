package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQueueServesSecondQueueLast(t *testing.T) {
	c := &clock{}
	q := &queue{clock: c, processors: 1}
	var ended []time.Duration
	q.later(10)
	q.later(10)
	for range 2 {
		q.do(5, func() { ended = append(ended, c.now) })
	}
	c.run(func() bool { return false })
	// The first work that the test added with "later" has already begun. So the work
	// that it added with "do" must wait until the first work ends.
	if diff := cmp.Diff([]time.Duration{15, 20}, ended); diff != "" {
		t.Error(diff)
	}
	if c.now != 30 || q.used != 30 {
		t.Errorf("ended at %v with %v used, want 30 and 30", c.now, q.used)
	}
}

func TestAuditLogAppendsOneBatchAtATime(t *testing.T) {
	c := &clock{}
	l := &auditLog{clock: c, waiting: make([][]func(), 2)}
	ended := make(map[int][]time.Duration)
	for _, server := range []int{0, 0, 0, 1} {
		l.add(server, func() { ended[server] = append(ended[server], c.now) })
	}
	c.run(func() bool { return false })
	// The first entry of server 0 immediately begins a batch. The other two entries of
	// server 0 are in the next batch, because server 0 requested the lock again before
	// server 1.
	one, two := batchCost+entryCost, batchCost+2*entryCost
	want := map[int][]time.Duration{0: {one, one + two, one + two}, 1: {one + two + one}}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Error(diff)
	}
}

func TestSimulateAddsCosts(t *testing.T) {
	r := simulate(deployment{Servers: 1, Workers: 1, Brokers: 1, Logs: 1, Cores: 8, MemoryGiB: 64, UsersPerRate: 1}, 1, 200, 1)
	least := serverCost + workerCost + messages*brokerCost + batchCost + entryCost + 8*networkDelay
	if r.median != least {
		t.Errorf("median %v, want the sum of the costs, %v", r.median, least)
	}
	if r.growing {
		t.Error("an idle deployment is full")
	}
}

func TestSimulateFindsFullPart(t *testing.T) {
	for part, d := range map[string]deployment{
		"servers":   {Servers: 1, Logs: 100, Cores: 4},
		"workers":   {Workers: 1, Logs: 100, Cores: 4},
		"audit log": {Logs: 1, Cores: 1000},
	} {
		t.Run(part, func(t *testing.T) {
			d.MemoryGiB, d.UsersPerRate = 100_000, 1
			r := simulate(d, 100_000, 40_000, 1)
			if !strings.HasSuffix(r.String(), part) {
				t.Errorf("%s\n%s\nwant the full part %q", heading, r, part)
			}
		})
	}
}

func TestSizedDeploymentServesItsRate(t *testing.T) {
	r := simulate(deployment{Logs: 1, Cores: 8, MemoryGiB: 32, UsersPerRate: 50}, 2000, 40_000, 1)
	if r.growing {
		t.Errorf("full:\n%s\n%s", heading, r)
	}
	u := newUsers(2000 * 50)
	if want := r.deployment.warm(u, r.rate, r.warmTime(u, r.rate)); math.Abs(want-r.warm) > 0.02 {
		t.Errorf("part of warm runs %.3f, want the computed %.3f", r.warm, want)
	}
}

func TestRunRefusesInvalidFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--rates", "fast"}, {"--rates", "0"}, {"--rates", "NaN"}, {"--cores", "0"}, {"--memory", "-1"}, {"--workers", "-1"}, {"--runs", "0"}, {"more"}, {"--unknown"},
	} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("run(%q) = nil, want an error", args)
		}
	}
}
