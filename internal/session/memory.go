package session

import (
	"bytes"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// These constants limit the secret values that a session keeps. One constant limits the
// number of the values, and the other limits their size in bytes. One run can receive up
// to 1 MiB of secret values.
const (
	maxRemembered      = 1000
	maxRememberedBytes = 4 << 20
)

// Remember keeps copies of the secret values of a run until the session ends. It returns
// the values of all runs of the session until now. The caller must not change the
// returned values. Remember returns an error if the session would keep too many values.
func (s *Service) Remember(id pyth.SessionID, values []pyth.SecretValue) ([]pyth.SecretValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[id]
	if x == nil {
		return nil, notFound()
	}
	var added []pyth.SecretValue
	size := 0
	for _, v := range x.remembered {
		size += len(v.Value)
	}
	for _, v := range values {
		if !slices.ContainsFunc(x.remembered, func(o pyth.SecretValue) bool { return o.Name == v.Name && bytes.Equal(o.Value, v.Value) }) {
			added = append(added, v)
			size += len(v.Value)
		}
	}
	if size > maxRememberedBytes || len(x.remembered)+len(added) > maxRemembered {
		return nil, pyth.Errorf(pyth.CodeConflict,
			"The runs of this session have received too many secret values to redact: the maximum is %d values or %d bytes. Open a new session, or list fewer secrets in each run.",
			maxRemembered, maxRememberedBytes)
	}
	for _, v := range added {
		x.remembered = append(x.remembered, pyth.SecretValue{Name: v.Name, Value: bytes.Clone(v.Value)})
	}
	return slices.Clip(x.remembered), nil
}

// forgetLocked clears the secret values. Do not call it while a program is running in
// the session, because the output of the program can contain these values.
func (x *session) forgetLocked() {
	pyth.ClearSecrets(x.remembered)
	x.remembered = nil
}
