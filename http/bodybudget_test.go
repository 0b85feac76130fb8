package http

import (
	"net/http/httptest"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestTheBudgetBoundsTheBodiesInMemory(t *testing.T) {
	b := newBodyBudget(1 << 20)
	read := func(size int, r *reservation) error {
		req := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat(" ", size)))
		req.ContentLength = -1
		_, err := readBody(httptest.NewRecorder(), req, bodyBudgetBytes, r)
		return err
	}
	first := &reservation{budget: b}
	if err := read(bodyBudgetBytes-1, first); err != nil {
		t.Fatal(err)
	}
	second := &reservation{budget: b}
	if err := read(smallBody+1, second); pyth.ErrorCode(err) != pyth.CodeOverloaded {
		t.Errorf("a large body beside it: %v", err)
	}
	second.release()
	if err := read(smallBody-1, second); err != nil {
		t.Errorf("a small body beside it: %v", err)
	}
	first.release()
	if err := read(smallBody+1, second); err != nil {
		t.Errorf("a large body after it: %v", err)
	}
	second.release()
	if !b.free.TryAcquire(bodyBudgetBytes) {
		t.Error("not all was given back")
	}
}
