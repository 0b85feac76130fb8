package body

import (
	"net/http/httptest"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

// readInto reads a body of the given size. The request has no Content-Length. readInto
// reserves memory for the body with r.
func readInto(r *Reservation, size int) error { return readBounded(r, size, 1<<40) }

func readBounded(r *Reservation, size int, limit int64) error {
	req := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat(" ", size)))
	req.ContentLength = -1
	_, err := readAll(httptest.NewRecorder(), req, limit, r)
	return err
}

func TestBudgetBoundsBodiesInMemory(t *testing.T) {
	const total = 4 << 20
	b := NewBudget(total, 100)
	held := make([]*Reservation, sharesOfBudget)
	for i := range held {
		held[i] = b.Reserve(string(rune('a' + i)))
		if err := readInto(held[i], total/sharesOfBudget-1); err != nil {
			t.Fatal(err)
		}
	}
	last := b.Reserve("last")
	if err := readInto(last, SmallBytes+1); pyth.ErrorCode(err) != pyth.CodeOverloaded {
		t.Errorf("a large body at the same time: %v", err)
	}
	if err := readInto(last, SmallBytes-1); err != nil {
		t.Errorf("a small body at the same time: %v", err)
	}
	held[0].Release()
	if err := readInto(last, SmallBytes+1); err != nil {
		t.Errorf("a large body after one of them: %v", err)
	}
	for _, r := range append(held[1:], last) {
		r.Release()
	}
	if b.sum != 0 || len(b.held) != 0 {
		t.Errorf("not everything was released: %d, %v", b.sum, b.held)
	}
}

func TestBudgetLimitsShareOfEachCaller(t *testing.T) {
	const total = 8 << 20
	b := NewBudget(total, 100)
	one := b.Reserve("ada")
	if err := readInto(one, total/sharesOfBudget-1); err != nil {
		t.Fatal(err)
	}
	two := b.Reserve("ada")
	if err := readInto(two, SmallBytes+1); pyth.ErrorCode(err) != pyth.CodeQuotaExceeded {
		t.Errorf("more than the share: %v", err)
	}
	other := b.Reserve("bob")
	if err := readInto(other, total/sharesOfBudget-1); err != nil {
		t.Errorf("another caller: %v", err)
	}
	one.Release()
	if err := readInto(two, SmallBytes+1); err != nil {
		t.Errorf("when the first was answered: %v", err)
	}
}

// TestBudgetAllowsLargestBody checks that the largest allowed body can be read even
// if the configured budget is smaller.
func TestBudgetAllowsLargestBody(t *testing.T) {
	r := NewBudget(1<<20, 3<<20).Reserve("ada")
	if err := readBounded(r, 3<<20, 3<<20); err != nil {
		t.Error(err)
	}
}
