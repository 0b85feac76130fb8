package link

import (
	"math/rand/v2"
	"testing"
)

func TestRecentCallsAcceptsEachCallOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var calls recentCalls
	added, highest := map[uint64]bool{}, uint64(0)
	for range 200_000 {
		call := highest + 1 + random.Uint64N(5)
		switch random.IntN(20) {
		case 0:
			call = highest + random.Uint64N(3*callWindow)
		default:
			call -= min(call-1, random.Uint64N(callWindow+10))
		}
		want := call > highest || !added[call] && highest-call < callWindow
		if got := calls.isNew(call); got != want {
			t.Fatalf("call %d after call %d: new is %v", call, highest, got)
		}
		if want {
			calls.add(call)
			added[call], highest = true, max(highest, call)
		}
	}
}
