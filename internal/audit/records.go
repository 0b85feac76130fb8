package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Records returns a service that passes all calls to the service "next". It records
// cancellations of runs and deletions of records in the log.
func Records(next pyth.RecordService, log Recorder) pyth.RecordService {
	return &records{next, log}
}

type records struct {
	pyth.RecordService
	log Recorder
}

func (s *records) CancelExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	r, err := s.RecordService.CancelExecution(ctx, user, id)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionExecutionCanceled, Resource: string(id)}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *records) DeleteExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) error {
	err := s.RecordService.DeleteExecution(ctx, user, id)
	return recordAfter(ctx, s.log, &pyth.AuditEvent{User: user, Action: pyth.ActionExecutionDeleted, Resource: string(id)}, err)
}
