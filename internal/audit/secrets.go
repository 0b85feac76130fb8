package audit

import (
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Secrets returns a service that passes all calls to the service "next". It records
// changes of secrets in the log.
func Secrets(next pyth.SecretService, log Recorder) pyth.SecretService {
	return &secrets{next, log}
}

type secrets struct {
	pyth.SecretService
	log Recorder
}

// PutSecret writes an audit entry with the action secret.created or secret.updated. If
// the call fails, PutSecret does not know whether the secret exists. The action is then
// secret.updated.
func (s *secrets) PutSecret(ctx context.Context, user pyth.UserID, name string, value []byte, description string) (*pyth.Secret, bool, error) {
	put, created, err := s.SecretService.PutSecret(ctx, user, name, value, description)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionSecretUpdated, Resource: name}
	if err == nil {
		e.Details = map[string]any{"version": put.Version}
		if created {
			e.Action = pyth.ActionSecretCreated
		}
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, false, err
	}
	return put, created, nil
}

func (s *secrets) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	err := s.SecretService.DeleteSecret(ctx, user, name)
	return recordAfter(ctx, s.log, &pyth.AuditEvent{User: user, Action: pyth.ActionSecretDeleted, Resource: name}, err)
}

// Beginner is a Recorder that can write events in the background.
type Beginner interface {
	Recorder
	// Begin adds the event to a queue. The returned function waits until the event is
	// durable. It returns the same errors as Record.
	Begin(ctx context.Context, e *pyth.AuditEvent) (wait func() error)
}

// SecretSource returns a source that gets secrets from the source "next" and records
// their use in the log. The audit entry is durable before the server sends the values to
// a sandbox.
func SecretSource(next pyth.SecretSource, log Beginner) pyth.SecretSource {
	return &secretSource{next, log}
}

type secretSource struct {
	next pyth.SecretSource
	log  Beginner
}

// Reveal writes one audit entry with the action secret.used for all secrets of the run.
// If next.Reveal succeeds, Reveal does not wait until the entry is durable. The caller
// calls SecretGrant.Await to wait.
func (s *secretSource) Reveal(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, request pyth.SecretRequest) (pyth.SecretGrant, error) {
	grant, err := s.next.Reveal(ctx, user, run, request)
	names := slices.Concat(request.Names, request.IfStored)
	if err == nil {
		names = make([]string, 0, len(grant.Values))
		for _, v := range grant.Values {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 && (err == nil || !request.All) {
		return grant, err
	}
	e := &pyth.AuditEvent{
		User: user, Action: pyth.ActionSecretUsed,
		Details: map[string]any{"executionId": string(run), "names": names},
	}
	if len(names) == 1 {
		e.Resource = names[0]
	}
	if err != nil {
		return pyth.SecretGrant{}, recordAfter(ctx, s.log, e, err)
	}
	e.Outcome = pyth.AuditSuccess
	grant.Recorded = s.log.Begin(ctx, e)
	return grant, nil
}
