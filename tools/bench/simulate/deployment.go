package main

import (
	"math"
	"time"
)

// deployment describes the machines that execute the runs.
type deployment struct {
	Servers, Workers, Brokers, Logs int
	// Cores is the number of processors of each machine.
	Cores        int
	MemoryGiB    float64
	UsersPerRate int
}

// The method "sized" returns a deployment with enough machines for the given rate of
// runs.
func (d deployment) sized(u *users, rate float64) deployment {
	machines := func(chosen int, cost time.Duration) int {
		if chosen > 0 {
			return chosen
		}
		return max(1, int(math.Ceil(rate*cost.Seconds()/(float64(d.Cores)*target))))
	}
	d.Servers = machines(d.Servers, serverCost)
	d.Brokers = machines(d.Brokers, messages*brokerCost)
	if d.Workers > 0 {
		return d
	}
	// Repeat the computation, because the number of boots depends on the number of
	// workers. More workers have more memory for idle sandboxes, so fewer runs need a
	// boot.
	d.Workers = machines(0, workerCost)
	for {
		boots := (1 - d.warm(u, rate, d.warmTime(u, rate))) * bootCost.Seconds()
		needed := machines(0, workerCost+time.Duration(boots*float64(time.Second)))
		if needed <= d.Workers {
			return d
		}
		d.Workers += max(1, (needed-d.Workers)/2)
	}
}

// The method "warm" returns the fraction of runs whose user already has an idle
// sandbox. The parameter t is the average time for which workers keep an idle sandbox.
func (d deployment) warm(u *users, rate float64, t time.Duration) float64 {
	warm := 0.0
	for user := range u.sums {
		r := u.rate(user, rate)
		warm += r / rate * (1 - math.Exp(-r*t.Seconds()))
	}
	return warm
}

// users describes the activity of all users. Users have numbers from 0. User 0 is the
// most active user.
type users struct {
	// sums[i] is the probability that one of the users 0 to i has started a run.
	sums []float64
}

func newUsers(number int) *users {
	u := &users{make([]float64, number)}
	sum := 0.0
	for i := range u.sums {
		sum += math.Pow(float64(i+1), -zipf)
		u.sums[i] = sum
	}
	for i := range u.sums {
		u.sums[i] /= sum
	}
	return u
}

// rate returns how many runs per second a user starts. The parameter "all" is the
// number of runs per second of all users together.
func (u *users) rate(user int, all float64) float64 {
	if user == 0 {
		return all * u.sums[0]
	}
	return all * (u.sums[user] - u.sums[user-1])
}

// warmTime returns the average time for which workers keep an idle sandbox. This is at
// most keepWarm, and less if the idle sandboxes would not fit into the memory of the
// workers. If the time is t, a user with r runs per second has an idle sandbox with the
// probability 1-exp(-r t).
func (d deployment) warmTime(u *users, rate float64) time.Duration {
	room := float64(d.Workers) * d.MemoryGiB * 1024 * 0.8 / sandboxMiB
	fits := func(t time.Duration) bool {
		warm := 0.0
		for user := range u.sums {
			warm += 1 - math.Exp(-u.rate(user, rate)*t.Seconds())
		}
		return warm <= room
	}
	if fits(keepWarm) {
		return keepWarm
	}
	least, most := time.Duration(0), keepWarm
	for most-least > 100*time.Millisecond {
		if middle := (least + most) / 2; fits(middle) {
			least = middle
		} else {
			most = middle
		}
	}
	return least
}
