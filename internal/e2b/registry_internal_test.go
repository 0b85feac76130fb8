package e2b

import (
	"context"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// closedSessions is a Closer that counts the closed sessions.
type closedSessions chan pyth.SessionID

func (c closedSessions) CloseSession(_ context.Context, _ pyth.UserID, id pyth.SessionID) error {
	c <- id
	return nil
}

// TestSandboxHasTimerWhenRequestsFindIt checks that a new sandbox already has a timer
// when a request to delete the sandbox can find it.
func TestSandboxHasTimerWhenRequestsFindIt(t *testing.T) {
	t.Parallel()
	x := &sandbox{id: "a", created: time.Now()}
	r := newRegistry(nil, nil)
	// The registry reads the clock when it sets the timer.
	r.clock = func() time.Time {
		if r.all[x.id] != nil {
			t.Error("a request can find the sandbox before it has a timer")
		}
		return time.Now()
	}
	r.add(x, time.Hour)
	if r.get("a") != x {
		t.Error("the registry does not contain the sandbox")
	}
	if sessions := r.remove(x); len(sessions) != 1 || r.get("a") != nil {
		t.Errorf("sessions %v", sessions)
	}
}

// TestShortTimeoutRemovesSandbox checks that the registry does not keep a sandbox that
// expires immediately.
func TestShortTimeoutRemovesSandbox(t *testing.T) {
	t.Parallel()
	closed := make(closedSessions)
	r := newRegistry(closed, time.Now)
	for range 1000 {
		r.add(&sandbox{id: "a", created: time.Now()}, 0)
		<-closed
		if r.get("a") != nil {
			t.Fatal("the registry contains an expired sandbox")
		}
	}
	r.close()
}
