package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// EncryptedPrograms returns a service that passes all calls to the service "next". It
// records changes of encrypted programs in the log. The decorator Executions records the
// runs of these programs.
func EncryptedPrograms(next pyth.EncryptedService, log Recorder) pyth.EncryptedService {
	return &encryptedPrograms{next, log}
}

type encryptedPrograms struct {
	pyth.EncryptedService
	log Recorder
}

func (z *encryptedPrograms) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
	stored, created, err := z.EncryptedService.StoreCode(ctx, user, name, c)
	e := &pyth.AuditEvent{
		User: user, Action: pyth.ActionZKStored, Resource: name,
		Details: map[string]any{"language": string(c.Language), "created": created},
	}
	if err == nil {
		e.Details["sizeBytes"] = stored.SizeBytes
	}
	if err := recordAfter(ctx, z.log, e, err); err != nil {
		return nil, false, err
	}
	return stored, created, nil
}

func (z *encryptedPrograms) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	err := z.EncryptedService.DeleteCode(ctx, user, name)
	return recordAfter(ctx, z.log, &pyth.AuditEvent{User: user, Action: pyth.ActionZKDeleted, Resource: name}, err)
}
