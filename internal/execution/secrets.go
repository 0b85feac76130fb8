package execution

import (
	"bytes"
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// secrets holds the secret values of a run.
type secrets struct {
	// grant holds all secret values that the server decrypted for the run.
	grant pyth.SecretGrant
	// The field "injected" holds the values that the program receives.
	injected []pyth.SecretValue
	// The field "hidden" holds the values to redact: all values in the field "grant",
	// and the values of earlier runs in the session. The interpreter of a session may
	// still hold values of earlier runs.
	hidden []pyth.SecretValue
}

func (s *secrets) clear() { pyth.ClearSecrets(s.grant.Values) }

// The method "follow" reports whether the program must wait after its sandbox is ready. A
// program with secret values waits for these values. A program without secret values
// waits only if the use of secrets must be recorded first: it waits until the audit log
// contains the entry.
func (s *secrets) follow() bool { return len(s.injected) > 0 || s.grant.Recorded != nil }

// reveal decrypts the secrets of a run. The parameter "session" is nil if the run has
// no session.
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
		// Without a secret service, no secret exists. Refuse a program that names a
		// secret, because the program must not run without this secret.
		_, err := selectNamed(nil, slices.Concat(request.Names, request.IfStored))
		return new(secrets), err
	}
	_, span := tracing.Start(ctx, "secrets.open")
	grant, err := s.config.Secrets.Reveal(ctx, job.Tenant, job.ID, request)
	span.End(err)
	if err != nil {
		return nil, err
	}
	some := &secrets{grant: grant, hidden: grant.Values}
	if some.injected, err = injectedVariables(grant.Values, p, session); err == nil && session != nil {
		err = s.remember(some, session)
	}
	if err != nil {
		some.clear()
		return nil, err
	}
	return some, nil
}

// sessionSecrets returns the request for a run in a session. It requests the secrets that
// the program names. It also requests the other secrets of the session, because the
// server must redact their values. If the program names a deleted secret, Reveal returns
// an error. Other deleted secrets are ignored.
func sessionSecrets(p *pyth.Program, session *pyth.SessionSpec) pyth.SecretRequest {
	request := pyth.SecretRequest{All: session.AllSecrets, IfStored: session.Secrets}
	if !p.AllSecrets {
		request.Names = p.Secrets
	}
	return request
}

// remember stores the injected values until the session ends. It sets the field "hidden"
// to the values of the grant and the values that earlier runs received. The value of a
// secret may have changed since an earlier run.
func (s *Service) remember(some *secrets, session *pyth.SessionSpec) error {
	if s.config.KeepSecrets {
		return nil
	}
	given, err := s.config.Sessions.Remember(session.ID, some.injected)
	if err != nil {
		return err
	}
	some.hidden = slices.Clone(some.grant.Values)
	for _, v := range given {
		if !slices.ContainsFunc(some.grant.Values, func(o pyth.SecretValue) bool { return o.Name == v.Name && bytes.Equal(o.Value, v.Value) }) {
			some.hidden = append(some.hidden, v)
		}
	}
	return nil
}

func injectedVariables(values []pyth.SecretValue, p *pyth.Program, session *pyth.SessionSpec) (some []pyth.SecretValue, err error) {
	if session != nil && !p.AllSecrets {
		if values, err = selectNamed(values, p.Secrets); err != nil {
			return nil, err
		}
	}
	return withoutEnv(values, p)
}

// checkSessionSecrets returns an error if the program names a secret that the session did
// not request when it was opened.
func checkSessionSecrets(names []string, session *pyth.SessionSpec) error {
	for _, name := range names {
		if !slices.Contains(session.Secrets, name) {
			return pyth.Invalid("body.secrets", "must be one of the secrets of the session")
		}
	}
	return nil
}

// UnknownSecret returns the error for a program that names an unknown secret.
func UnknownSecret() error {
	return pyth.Invalid("body.secrets", "must contain only names of your secrets")
}

// selectNamed returns the secrets with the given names. It returns an error if "values"
// does not contain a secret with one of these names.
func selectNamed(values []pyth.SecretValue, names []string) ([]pyth.SecretValue, error) {
	some := []pyth.SecretValue{}
	for _, name := range names {
		at := slices.IndexFunc(values, func(v pyth.SecretValue) bool { return v.Name == name })
		if at < 0 {
			return nil, UnknownSecret()
		}
		some = append(some, values[at])
	}
	return some, nil
}

// withoutEnv removes each secret that has the same name as a variable in the request. The
// program receives the variable instead of the secret. withoutEnv returns an error if the
// request lists such a secret by name. It also returns an error if the variables and the
// secrets together are too large.
func withoutEnv(values []pyth.SecretValue, p *pyth.Program) ([]pyth.SecretValue, error) {
	var f pyth.FieldErrors
	total := 0
	var some []pyth.SecretValue
	for _, v := range values {
		given := slices.ContainsFunc(p.Env, func(e pyth.EnvVar) bool { return e.Name == v.Name })
		if given && !p.AllSecrets {
			f.Add("body.env."+v.Name, "is also the name of a secret in secrets; remove the name from env or from secrets")
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
		f.Add("body.secrets", "must have at most %d bytes together with env; list only the secrets that the program needs", maxExecBytes)
	}
	return some, f.Err()
}
