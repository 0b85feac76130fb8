package api_test

import (
	"context"
	"net/http"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// queue is a fake QueueService that stores the accepted programs.
type queue struct {
	programs []*pyth.Program
	err      error
}

func (q *queue) EnqueueExecution(_ context.Context, user pyth.UserID, p *pyth.Program) (*pyth.ExecutionRecord, error) {
	if q.err != nil {
		return nil, q.err
	}
	q.programs = append(q.programs, p)
	id := p.ID
	if id == "" {
		id = pyth.NewExecutionID(created)
	}
	return &pyth.ExecutionRecord{ID: id, User: user, State: pyth.StateQueued, Language: pyth.Python, CreatedAt: id.CreatedAt(), Async: true}, nil
}

func TestExecuteWithPreferRespondsAsync(t *testing.T) {
	q := new(queue)
	s := newServer(t, func(c *api.Config) { c.Queue = q })
	for header, async := range map[string]bool{
		"respond-async":                true,
		"Respond-Async":                true,
		"wait=10, respond-async;x=y":   true,
		"return=minimal,respond-async": true,
		"":                             false,
		"respond-sync":                 false,
		"wait=10":                      false,
	} {
		q.programs = nil
		call := request("POST", "/api/v1/execute", `{"code":"print(1)","labels":["a"]}`)
		call.Header.Set("Prefer", header)
		r := s.send(call)
		if !async {
			if r.StatusCode != http.StatusOK || len(q.programs) != 0 {
				t.Errorf("Prefer: %s: got status %d", header, r.StatusCode)
			}
			continue
		}
		if r.StatusCode != http.StatusAccepted || r.Header.Get("Preference-Applied") != "respond-async" || len(q.programs) != 1 || q.programs[0].Code != "print(1)" || q.programs[0].Labels[0] != "a" {
			t.Errorf("Prefer: %s: got status %d and %+v", header, r.StatusCode, q.programs)
		}
	}
}
