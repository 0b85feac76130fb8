package api

import (
	"net/http/httptest"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

// readInto reads a body of unknown length and of size bytes.
func readInto(r *bodyReservation, size int) error { return readBounded(r, size, 1<<40) }

func readBounded(r *bodyReservation, size int, limit int64) error {
	req := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat(" ", size)))
	req.ContentLength = -1
	_, err := readBody(httptest.NewRecorder(), req, limit, r)
	return err
}

func TestBodyBudgetBoundsBodiesInMemory(t *testing.T) {
	const total = 4 << 20
	b := newBodyBudget(total, 100)
	held := make([]*bodyReservation, sharesOfBudget)
	for i := range held {
		held[i] = &bodyReservation{budget: b, caller: string(rune('a' + i))}
		if err := readInto(held[i], total/sharesOfBudget-1); err != nil {
			t.Fatal(err)
		}
	}
	last := &bodyReservation{budget: b, caller: "last"}
	if err := readInto(last, smallBody+1); pyth.ErrorCode(err) != pyth.CodeOverloaded {
		t.Errorf("a large body beside them: %v", err)
	}
	if err := readInto(last, smallBody-1); err != nil {
		t.Errorf("a small body beside them: %v", err)
	}
	held[0].release()
	if err := readInto(last, smallBody+1); err != nil {
		t.Errorf("a large body after one of them: %v", err)
	}
	for _, r := range append(held[1:], last) {
		r.release()
	}
	if b.sum != 0 || len(b.held) != 0 {
		t.Errorf("not all was given back: %d, %v", b.sum, b.held)
	}
}

func TestBodyBudgetHasSharesOfCallers(t *testing.T) {
	const total = 8 << 20
	b := newBodyBudget(total, 100)
	one := &bodyReservation{budget: b, caller: "ada"}
	if err := readInto(one, total/sharesOfBudget-1); err != nil {
		t.Fatal(err)
	}
	two := &bodyReservation{budget: b, caller: "ada"}
	if err := readInto(two, smallBody+1); pyth.ErrorCode(err) != pyth.CodeQuotaExceeded {
		t.Errorf("more than the share: %v", err)
	}
	other := &bodyReservation{budget: b, caller: "bob"}
	if err := readInto(other, total/sharesOfBudget-1); err != nil {
		t.Errorf("another caller: %v", err)
	}
	one.release()
	if err := readInto(two, smallBody+1); err != nil {
		t.Errorf("when the first was answered: %v", err)
	}
}

// The largest body that the API takes fits, however small the budget is.
func TestBodyBudgetHoldsTheLargestBody(t *testing.T) {
	r := &bodyReservation{budget: newBodyBudget(1<<20, 3<<20), caller: "ada"}
	if err := readBounded(r, 3<<20, 3<<20); err != nil {
		t.Error(err)
	}
}
