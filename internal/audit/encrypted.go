package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// ZK enters changes of encrypted programs. That one is run is entered by
// Executions.
func ZK(next pyth.EncryptedService, to pyth.Auditor) pyth.EncryptedService {
	return &zk{next, to}
}

type zk struct {
	pyth.EncryptedService
	to pyth.Auditor
}

// StoreCode enters zk.stored.
func (z *zk) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
	stored, created, err := z.EncryptedService.StoreCode(ctx, user, name, c)
	e := &pyth.AuditEvent{
		User: user, Action: pyth.ActionZKStored, Resource: name,
		Details: map[string]any{"language": string(c.Language), "created": created},
	}
	if err == nil {
		e.Details["sizeBytes"] = stored.SizeBytes
	}
	if err := after(ctx, z.to, e, err); err != nil {
		return nil, false, err
	}
	return stored, created, nil
}

// DeleteCode enters zk.deleted.
func (z *zk) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	err := z.EncryptedService.DeleteCode(ctx, user, name)
	return after(ctx, z.to, &pyth.AuditEvent{User: user, Action: pyth.ActionZKDeleted, Resource: name}, err)
}
