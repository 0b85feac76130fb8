package session_test

import (
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestRememberKeepsValuesUntilSessionEnds(t *testing.T) {
	runScene(t, "", nil, func(s *scene) {
		x, other := s.open(), s.open()
		value := func(text string) []pyth.SecretValue { return []pyth.SecretValue{{Name: "S", Value: []byte(text)}} }
		turn := func(id pyth.SessionID, values []pyth.SecretValue) []pyth.SecretValue {
			_, _, release, err := s.Turn(s.Context(), "ada", id)
			if err != nil {
				s.Fatal(err)
			}
			defer release(nil, nil)
			all, err := s.Remember(id, values)
			if err != nil {
				s.Fatal(err)
			}
			return all
		}
		first := value("first")
		turn(x.ID, first)
		pyth.ClearSecrets(first) // The session has copied the values.
		turn(x.ID, value("second"))
		all := turn(x.ID, value("first"))
		if len(all) != 2 || string(all[0].Value) != "first" || string(all[1].Value) != "second" {
			s.Errorf("got %q", all)
		}
		if all := turn(other.ID, nil); len(all) != 0 {
			s.Errorf("another session has %q", all)
		}
		// If the session is closed during a run, the secret values must stay intact
		// until the run ends.
		_, _, release, err := s.Turn(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		_ = s.CloseSession(s.Context(), "ada", x.ID)
		if string(all[0].Value) != "first" {
			s.Errorf("during a run in the closed session, the values are %q", all)
		}
		release(nil, nil)
		if strings.Trim(string(all[0].Value)+string(all[1].Value), "\x00") != "" {
			s.Errorf("after the last run in the closed session, the values are %q", all)
		}
		if _, err := s.Remember(x.ID, nil); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("got %v", err)
		}
		// The total size of a session's values is limited.
		for i := range 5 {
			_, err = s.Remember(other.ID, value(string(rune('a'+i))+strings.Repeat("x", 1<<20-1)))
		}
		if pyth.ErrorCode(err) != pyth.CodeConflict {
			s.Errorf("got %v", err)
		}
	})
}
