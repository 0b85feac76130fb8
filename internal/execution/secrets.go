package execution

import (
	"bytes"
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// secrets are those that a run is given, and those that its output must not
// show: what an earlier run of its session was given can still be there.
type secrets struct {
	injected pyth.SecretGrant
	// opened are those that were opened for the run, and hidden these and those
	// that earlier runs of the session were given.
	opened, hidden []pyth.SecretValue
}

func (s *secrets) clear() { pyth.ClearSecrets(s.opened) }

// reveal opens the secrets of a run; the session is nil for none.
func (s *Service) reveal(ctx context.Context, job *pyth.Job, p *pyth.Program, session *pyth.SessionSpec) (*secrets, error) {
	request := pyth.SecretRequest{Names: p.Secrets, All: p.AllSecrets}
	if session != nil {
		if !p.AllSecrets && !session.AllSecrets {
			if err := checkSessionSecrets(p.Secrets, session); err != nil {
				return nil, err
			}
		}
		request = sessionSecrets(p, session)
	}
	if s.config.Secrets == nil {
		// A program that asks for a secret must not run without it.
		_, err := chosen(nil, slices.Concat(request.Names, request.IfStored))
		return new(secrets), err
	}
	grant, err := s.config.Secrets.Reveal(ctx, job.Tenant, job.ID, request)
	if err != nil {
		return nil, err
	}
	some := &secrets{injected: grant, opened: grant.Values, hidden: grant.Values}
	if some.injected.Values, err = injected(grant.Values, p, session); err == nil && session != nil {
		// A sandbox that has part of a job can only be destroyed, and this one stays.
		some.injected.Recorded, err = nil, grant.Await()
	}
	if err == nil && session != nil {
		err = s.remember(some, session)
	}
	if err != nil {
		some.clear()
		return nil, err
	}
	return some, nil
}

// sessionSecrets requests the secrets that the program names, and all others of the
// session: their values must not be shown. Those that were deleted since it was
// opened are left out, unless the program names them.
func sessionSecrets(p *pyth.Program, session *pyth.SessionSpec) pyth.SecretRequest {
	request := pyth.SecretRequest{All: session.AllSecrets, IfStored: session.Secrets}
	if !p.AllSecrets {
		request.Names = p.Secrets
	}
	return request
}

// remember hides what earlier runs of the session were given, too, although it may
// have another value by now, or be deleted.
func (s *Service) remember(some *secrets, session *pyth.SessionSpec) error {
	if s.config.KeepSecrets {
		return nil
	}
	given, err := s.config.Sessions.Remember(session.ID, some.injected.Values)
	if err != nil {
		return err
	}
	some.hidden = slices.Clone(some.opened)
	for _, v := range given {
		if !slices.ContainsFunc(some.opened, func(o pyth.SecretValue) bool { return o.Name == v.Name && bytes.Equal(o.Value, v.Value) }) {
			some.hidden = append(some.hidden, v)
		}
	}
	return nil
}

// injected are those of the values that the program gets itself.
func injected(values []pyth.SecretValue, p *pyth.Program, session *pyth.SessionSpec) (some []pyth.SecretValue, err error) {
	if session != nil && !p.AllSecrets {
		if values, err = chosen(values, p.Secrets); err != nil {
			return nil, err
		}
	}
	return besides(values, p)
}

// checkSessionSecrets refuses what was not chosen when the session was opened.
func checkSessionSecrets(names []string, session *pyth.SessionSpec) error {
	for _, name := range names {
		if !slices.Contains(session.Secrets, name) {
			return pyth.Invalid("body.secrets", "must be among those of the session: they were chosen when the session was opened")
		}
	}
	return nil
}

// chosen are the values of those names.
func chosen(values []pyth.SecretValue, names []string) ([]pyth.SecretValue, error) {
	some := []pyth.SecretValue{}
	for _, name := range names {
		at := slices.IndexFunc(values, func(v pyth.SecretValue) bool { return v.Name == name })
		if at < 0 {
			return nil, pyth.Invalid("body.secrets", "names what is not a secret of yours")
		}
		some = append(some, values[at])
	}
	return some, nil
}

// besides are the values that go beside the variables that the program is given:
// one that it is given by name of its own stands in for a secret that was not
// asked for by name.
func besides(values []pyth.SecretValue, p *pyth.Program) ([]pyth.SecretValue, error) {
	var f pyth.FieldErrors
	total := 0
	var some []pyth.SecretValue
	for _, v := range values {
		given := slices.ContainsFunc(p.Env, func(e pyth.EnvVar) bool { return e.Name == v.Name })
		if given && !p.AllSecrets {
			f.Add("body.env."+v.Name, "is the name of a secret that secrets asks for")
		}
		if !given {
			total += len(v.Name) + len(v.Value) + 2
			some = append(some, v)
		}
	}
	for _, e := range p.Env {
		total += len(e.Name) + len(e.Value) + 2
	}
	if total > maxExecBytes {
		f.Add("body.secrets", "must have at most %d bytes in all, with env; name those that the program needs", maxExecBytes)
	}
	return some, f.Err()
}
