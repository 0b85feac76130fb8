package problem_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

func TestNewHidesInternalErrors(t *testing.T) {
	for name, err := range map[string]error{
		"another error":   errors.New("SECRET"),
		"an unknown code": pyth.Errorf("unheard_of", "SECRET"),
		"internal":        pyth.Errorf(pyth.CodeInternal, "SECRET"),
	} {
		e := problem.New("4f2c9a", err)
		if e.Status != 500 || e.Code != pyth.CodeInternal || e.Detail != "" {
			t.Errorf("%s: status %d, code %s, detail %q", name, e.Status, e.Code, e.Detail)
		}
	}
	if e := problem.New("4f2c9a", context.DeadlineExceeded); e.Status != 503 || e.Code != pyth.CodeUnavailable {
		t.Errorf("at the deadline: status %d, code %s", e.Status, e.Code)
	}
}

func TestNewSetsRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		err  *pyth.Error
		want string
	}{
		{&pyth.Error{Code: pyth.CodeOverloaded}, "2"},
		{&pyth.Error{Code: pyth.CodeRateLimited, RetryAfter: 1100 * time.Millisecond}, "2"},
		{&pyth.Error{Code: pyth.CodeLLMFailed, RetryAfter: 5 * time.Second}, "5"},
		{&pyth.Error{Code: pyth.CodeLLMFailed}, ""},
		{&pyth.Error{Code: pyth.CodeLLMNotConfigured}, ""},
		{&pyth.Error{Code: pyth.CodeInvalid, RetryAfter: 5 * time.Second}, ""},
	} {
		if got := problem.New("4f2c9a", tt.err).GetHeaders().Get("Retry-After"); got != tt.want {
			t.Errorf("%s after %v: Retry-After is %q, want %q", tt.err.Code, tt.err.RetryAfter, got, tt.want)
		}
	}
}

func TestCatalogHasEachCodeOnce(t *testing.T) {
	seen := map[pyth.Code]bool{}
	for _, c := range problem.Catalog() {
		if seen[c.Code] || c.Title == "" || c.Advice == "" || c.Status < 400 || c.Status > 599 {
			t.Errorf("%+v", c)
		}
		seen[c.Code] = true
		if got := problem.Find(c.Code); got != c {
			t.Errorf("Find(%s) = %+v", c.Code, got)
		}
	}
}

func TestClipKeepsWholeCharacters(t *testing.T) {
	short := "body.code"
	if got := problem.Clip(short); got != short {
		t.Errorf("%q became %q", short, got)
	}
	if got, want := problem.Clip("a"+strings.Repeat("é", 500)), "a"+strings.Repeat("é", 99)+"…"; got != want {
		t.Errorf("got %q", got)
	}
}
