package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Secrets enters changes of secrets.
func Secrets(next pyth.SecretService, to pyth.Auditor) pyth.SecretService {
	return &secrets{next, to}
}

type secrets struct {
	pyth.SecretService
	to pyth.Auditor
}

// PutSecret enters secret.created or secret.updated; an attempt that failed is
// secret.updated, since what it would have been is not known.
func (s *secrets) PutSecret(ctx context.Context, user pyth.UserID, name string, value []byte, description string) (*pyth.Secret, bool, error) {
	put, created, err := s.SecretService.PutSecret(ctx, user, name, value, description)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionSecretUpdated, Resource: name}
	if err == nil {
		e.Details = map[string]any{"version": put.Version}
		if created {
			e.Action = pyth.ActionSecretCreated
		}
	}
	if err := after(ctx, s.to, e, err); err != nil {
		return nil, false, err
	}
	return put, created, nil
}

// DeleteSecret enters secret.deleted.
func (s *secrets) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	err := s.SecretService.DeleteSecret(ctx, user, name)
	return after(ctx, s.to, &pyth.AuditEvent{User: user, Action: pyth.ActionSecretDeleted, Resource: name}, err)
}

// Beginner is an Auditor that need not be waited for at once.
type Beginner interface {
	pyth.Auditor
	// Begin is Record, but that what it returns waits and fails in its place.
	Begin(ctx context.Context, e *pyth.AuditEvent) (written func() error)
}

// SecretSource enters the use of secrets before their values go to a sandbox.
func SecretSource(next pyth.SecretSource, to Beginner) pyth.SecretSource {
	return &secretSource{next, to}
}

type secretSource struct {
	next pyth.SecretSource
	to   Beginner
}

// Stored gives no value out, so there is nothing to enter.
func (s *secretSource) Stored(ctx context.Context, user pyth.UserID, names []string) ([]string, error) {
	return s.next.Stored(ctx, user, names)
}

// Reveal enters secret.used once for all secrets of a run. The entry is written
// while the run gets ready; the grant tells when it is.
func (s *secretSource) Reveal(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, names []string, all bool) (pyth.SecretGrant, error) {
	grant, err := s.next.Reveal(ctx, user, run, names, all)
	if err == nil {
		names = names[:0:0]
		for _, v := range grant.Values {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 && (err == nil || !all) {
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
		return pyth.SecretGrant{}, after(ctx, s.to, e, err)
	}
	e.Outcome = pyth.AuditSuccess
	grant.Recorded = s.to.Begin(ctx, e)
	return grant, nil
}
