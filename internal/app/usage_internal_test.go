package app

import (
	"context"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

// startCounter is a ProcessService that counts the started processes.
type startCounter struct {
	pyth.ProcessService
	started int
}

func (c *startCounter) StartProcess(context.Context, pyth.UserID, pyth.SessionID, *pyth.ProcessRequest) (*pyth.Process, error) {
	c.started++
	return &pyth.Process{}, nil
}

func (c *startCounter) RunProcess(context.Context, pyth.UserID, pyth.SessionID, *pyth.ProcessRequest, func(*pyth.Process) error, func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	c.started++
	return &pyth.Process{}, nil
}

// usedUp contains the users who have used up a daily quota.
type usedUp map[pyth.UserID]bool

func (u usedUp) Check(_ context.Context, user pyth.UserID) error {
	if u[user] {
		return pyth.Errorf(pyth.CodeQuotaExceeded, "used up")
	}
	return nil
}

func TestProcessesNeedDailyQuota(t *testing.T) {
	next := &startCounter{}
	s := quotaProcesses{next, usedUp{"ada": true}}
	for user, want := range map[pyth.UserID]pyth.Code{"ada": pyth.CodeQuotaExceeded, "bob": ""} {
		if _, err := s.StartProcess(t.Context(), user, "s", nil); pyth.ErrorCode(err) != want {
			t.Errorf("start by %s: got %v, want %q", user, err, want)
		}
		if _, err := s.RunProcess(t.Context(), user, "s", nil, nil, nil); pyth.ErrorCode(err) != want {
			t.Errorf("run by %s: got %v, want %q", user, err, want)
		}
	}
	if next.started != 2 {
		t.Errorf("%d processes were started, want 2", next.started)
	}
}
