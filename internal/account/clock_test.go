package account_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const decade = 10 * 365 * 24 * time.Hour

func TestAttack109AuthenticateSurvivesAClockJump(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"a second forward": time.Second, "an hour forward": time.Hour, "a decade forward": decade,
		"a second back": -time.Second, "an hour back": -time.Hour, "a decade back": -decade,
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			before := s.register(t, email)
			for range 2 {
				s.clock.move(jump)
				g := s.login(t, email, password)
				if !s.accepts(t, pyth.Credentials{Bearer: g.Token}) || !s.accepts(t, pyth.Credentials{APIKey: before.APIKey}) {
					t.Error("a new token or key is refused")
				}
				if next := s.refresh(t, g.RefreshToken); !s.accepts(t, pyth.Credentials{Bearer: next.Token}) {
					t.Error("a refreshed token is refused")
				}
				jump = -jump
			}
			if !s.accepts(t, pyth.Credentials{Bearer: before.Token}) {
				t.Error("a valid token is refused after the clock was corrected")
			}
		})
	}
}

func TestAttack109AuthenticateRefusesTokensOfTheFuture(t *testing.T) {
	s := newService(t)
	s.register(t, email)
	s.clock.move(decade)
	future := s.login(t, email, password)
	s.clock.move(-decade)
	if s.accepts(t, pyth.Credentials{Bearer: future.Token}) {
		t.Error("a token that is valid in ten years is accepted now")
	}
	s.ended(t, future.RefreshToken)
}

func TestAttack109RefreshSurvivesASmallStepBack(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	s.clock.move(-24 * time.Hour)
	if next := s.refresh(t, g.RefreshToken); !s.accepts(t, pyth.Credentials{Bearer: next.Token}) {
		t.Error("the refreshed token is refused")
	}
}

func TestAttack109RefreshDoesNotExtendTheGracePeriod(t *testing.T) {
	for name, c := range map[string]struct {
		jump  time.Duration
		grace bool
	}{
		"a correction by a second": {-time.Second, true},
		"an hour back":             {-time.Hour, false},
		"an hour forward":          {time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			g := s.register(t, email)
			s.refresh(t, g.RefreshToken)
			s.clock.move(c.jump)
			_, err := s.Refresh(t.Context(), g.RefreshToken, mine)
			if (err == nil) != c.grace {
				t.Errorf("got %v", err)
			}
		})
	}
}
