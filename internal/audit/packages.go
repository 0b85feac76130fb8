package audit

import (
	"cmp"
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Packages returns a service that passes all calls to the service "next". It records
// changes of users' packages in the log.
func Packages(next pyth.PackageService, log Recorder) pyth.PackageService {
	return &packages{next, log}
}

type packages struct {
	pyth.PackageService
	log Recorder
}

// record writes an audit entry with the action packages.changed. If the change failed,
// the detail "reason" is the error code, or "canceled" if ctx has ended.
func (p *packages) record(ctx context.Context, user pyth.UserID, language pyth.Language, change *pyth.PackageChange, err error) (*pyth.PackageChange, error) {
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionPackagesChanged, Details: map[string]any{}}
	switch {
	case err == nil:
		language = change.Language
		e.Details["added"], e.Details["removed"] = change.Added, change.Removed
	case ctx.Err() != nil:
		e.Details["reason"] = "canceled"
	default:
		e.Details["reason"] = string(pyth.ErrorCode(err))
	}
	// All languages of a runtime have the same packages, so record the main
	// language.
	e.Details["language"] = string(cmp.Or(language, pyth.Python).Main())
	if err := recordAfter(ctx, p.log, e, err); err != nil {
		return nil, err
	}
	return change, nil
}

func (p *packages) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	change, err := p.PackageService.SetPackages(ctx, user, language, requirements, progress)
	return p.record(ctx, user, language, change, err)
}

func (p *packages) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, requirement string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	change, err := p.PackageService.AddPackage(ctx, user, language, requirement, progress)
	return p.record(ctx, user, language, change, err)
}

// RemovePackage writes an audit entry with the action packages.changed. If the change
// fails, the entry contains the language of the request. If the request has no language,
// the entry contains Python.
func (p *packages) RemovePackage(ctx context.Context, user pyth.UserID, language pyth.Language, name string) (*pyth.PackageChange, error) {
	change, err := p.PackageService.RemovePackage(ctx, user, language, name)
	return p.record(ctx, user, language, change, err)
}
