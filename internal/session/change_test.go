package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

func TestChangeSession(t *testing.T) {
	const idle = 10 * time.Minute

	runScene(t, "prolongs an idle session, as reading it does", nil, func(s *scene) {
		x := s.open()
		for range 3 {
			time.Sleep(idle - time.Nanosecond)
			got, err := s.ChangeSession(s.Context(), "ada", x.ID, &pyth.SessionChange{})
			if err != nil || !got.ExpiresAt.Equal(time.Now().Add(idle)) {
				s.Errorf("%v, %v", got, err)
			}
			time.Sleep(idle - time.Nanosecond)
			if got, err = s.Session(s.Context(), "ada", x.ID); err != nil || !got.ExpiresAt.Equal(time.Now().Add(idle)) {
				s.Errorf("%v, %v", got, err)
			}
		}
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 0, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "sets a new idle time-out, also during a run", nil, func(s *scene) {
		x := s.open()
		r := s.begin(x, time.Hour, ok())
		longer := 2 * time.Hour
		if _, err := s.ChangeSession(s.Context(), "ada", x.ID, &pyth.SessionChange{IdleTimeout: &longer}); err != nil {
			s.Error(err)
		}
		s.expect(r, 0, time.Hour)
		time.Sleep(longer - time.Nanosecond)
		if got := s.expectThere(x, 1, false); got.IdleTimeout != longer {
			s.Errorf("the idle time-out is %v", got.IdleTimeout)
		}
		shorter := time.Minute
		if _, err := s.ChangeSession(s.Context(), "ada", x.ID, &pyth.SessionChange{IdleTimeout: &shorter}); err != nil {
			s.Error(err)
		}
		time.Sleep(shorter)
		s.expectGone(x)
	})

	runScene(t, "changes only the fields that it has", nil, func(s *scene) {
		x, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{Name: "report", Labels: []string{"a", "b"}})
		if err != nil {
			s.Fatal(err)
		}
		name, none := "data", []string{}
		for _, step := range []struct {
			change pyth.SessionChange
			name   string
			labels []string
		}{
			{pyth.SessionChange{}, "report", []string{"a", "b"}},
			{pyth.SessionChange{Name: &name}, "data", []string{"a", "b"}},
			{pyth.SessionChange{Labels: &none}, "data", nil},
			{pyth.SessionChange{Name: new(string)}, "", nil},
		} {
			got, err := s.ChangeSession(s.Context(), "ada", x.ID, &step.change)
			if err != nil || got.Name != step.name || len(got.Labels) != len(step.labels) || !cmp.Equal(got, s.expectThere(x, 0, false)) {
				s.Errorf("%+v: %+v, %v", step.change, got, err)
			}
		}
	})

	runScene(t, "refuses invalid values, and then changes nothing", nil, func(s *scene) {
		x := s.open()
		short, name, long, labels := time.Millisecond, "x", strings.Repeat("x", 101), []string{""}
		for location, change := range map[string]pyth.SessionChange{
			"body.idleTimeoutMs": {IdleTimeout: &short, Name: &name},
			"body.name":          {Name: &long},
			"body.labels[0]":     {Labels: &labels, Name: &name},
		} {
			_, err := s.ChangeSession(s.Context(), "ada", x.ID, &change)
			if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != location {
				s.Errorf("%s: %v", location, err)
			}
		}
		if got := s.expectThere(x, 0, false); got.Name != "" || got.IdleTimeout != idle {
			s.Errorf("the session has changed: %+v", got)
		}
		_, err := s.ChangeSession(s.Context(), "bob", x.ID, &pyth.SessionChange{Name: &long})
		if pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("another user: %v", err)
		}
	})
}
