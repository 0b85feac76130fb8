package main

import (
	"math"
	"time"
)

// deployment describes the machines that serve the runs.
type deployment struct {
	Servers, Workers, Brokers, Logs int
	// Cores is the number of processors of each machine.
	Cores        int
	MemoryGiB    float64
	UsersPerRate int
}

// The method "sized" returns the deployment with as many machines as the rate needs.
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
	// The number of boots depends on the number of workers: more workers have more
	// memory for idle sandboxes.
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

// The method "warm" returns the fraction of the runs whose user has an idle sandbox. t
// is the average time that an idle sandbox stays.
func (d deployment) warm(u *users, rate float64, t time.Duration) float64 {
	warm := 0.0
	for user := range u.sums {
		r := u.rate(user, rate)
		warm += r / rate * (1 - math.Exp(-r*t.Seconds()))
	}
	return warm
}

// users describes all users. Users have numbers from 0, and user 0 is the most
// active.
type users struct {
	// sums[i] is the probability that a run belongs to one of the users 0 to i.
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

// rate returns how many runs a user starts in a second. The parameter "all" is this
// number for all users together.
func (u *users) rate(user int, all float64) float64 {
	if user == 0 {
		return all * u.sums[0]
	}
	return all * (u.sums[user] - u.sums[user-1])
}

// warmTime returns how long an idle sandbox stays on average: at most keepWarm, and so
// short that all idle sandboxes fit into the memory of the workers. If idle sandboxes
// stay for the time t, a user with r runs a second has an idle sandbox with the
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
