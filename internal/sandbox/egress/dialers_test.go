package egress_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// noDialer fails the test when something is dialled.
type noDialer struct{ t *testing.T }

func (d noDialer) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	d.t.Errorf("%s was dialled", address)
	return nil, errors.New("nothing may be dialled")
}

// directed dials one address whatever it is asked for, and remembers that.
type directed struct {
	to string
	// fail are addresses that do not answer.
	fail map[string]error

	mu    sync.Mutex
	asked []string
}

func (d *directed) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.asked = append(d.asked, address)
	d.mu.Unlock()
	if err := d.fail[address]; err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, d.to)
}

func (d *directed) dialled() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.asked...)
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }
