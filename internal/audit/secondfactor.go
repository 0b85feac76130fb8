package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// SecondFactors returns a service that passes all calls to the service "next". It
// records changes of second factors in the log. The entries contain no secrets and no
// codes.
func SecondFactors(next pyth.SecondFactorService, log Recorder) pyth.SecondFactorService {
	return &secondFactors{next, log}
}

type secondFactors struct {
	pyth.SecondFactorService
	log Recorder
}

func (a *secondFactors) record(ctx context.Context, p *pyth.Principal, action pyth.Action, err error) error {
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: action}, err)
}

func (a *secondFactors) Enroll(ctx context.Context, p *pyth.Principal, password, issuer string) (*pyth.Enrollment, error) {
	e, err := a.SecondFactorService.Enroll(ctx, p, password, issuer)
	if err := a.record(ctx, p, pyth.ActionTOTPCreated, err); err != nil {
		return nil, err
	}
	return e, nil
}

func (a *secondFactors) Confirm(ctx context.Context, p *pyth.Principal, code string) ([]string, error) {
	codes, err := a.SecondFactorService.Confirm(ctx, p, code)
	if err := a.record(ctx, p, pyth.ActionTOTPEnabled, err); err != nil {
		return nil, err
	}
	return codes, nil
}

func (a *secondFactors) ReplaceRecoveryCodes(ctx context.Context, p *pyth.Principal, password, code string) ([]string, error) {
	codes, err := a.SecondFactorService.ReplaceRecoveryCodes(ctx, p, password, code)
	if err := a.record(ctx, p, pyth.ActionRecoveryCodes, err); err != nil {
		return nil, err
	}
	return codes, nil
}

func (a *secondFactors) Remove(ctx context.Context, p *pyth.Principal, password, code string) error {
	err := a.SecondFactorService.Remove(ctx, p, password, code)
	return a.record(ctx, p, pyth.ActionTOTPDisabled, err)
}
