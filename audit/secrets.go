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

// SecretSource enters the use of secrets before it gives their values out.
func SecretSource(next pyth.SecretSource, to pyth.Auditor) pyth.SecretSource {
	return &secretSource{next, to}
}

type secretSource struct {
	next pyth.SecretSource
	to   pyth.Auditor
}

// Reveal enters secret.used once for all secrets of a run. Without the entry
// there are no values.
func (s *secretSource) Reveal(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, names []string, all bool) ([]pyth.SecretValue, error) {
	values, err := s.next.Reveal(ctx, user, run, names, all)
	if err == nil {
		names = names[:0:0]
		for _, v := range values {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 && (err == nil || !all) {
		return values, err
	}
	e := &pyth.AuditEvent{
		User: user, Action: pyth.ActionSecretUsed,
		Details: map[string]any{"executionId": string(run), "names": names},
	}
	if len(names) == 1 {
		e.Resource = names[0]
	}
	if err := after(ctx, s.to, e, err); err != nil {
		pyth.ClearSecrets(values)
		return nil, err
	}
	return values, nil
}
