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

// noDialer fails the test when it is called.
type noDialer struct{ t *testing.T }

func (d noDialer) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	d.t.Errorf("%s was dialled", address)
	return nil, errors.New("nothing may be dialled")
}

// fixedDialer stores each target, but always connects to the same address.
type fixedDialer struct {
	to string
	// fail maps an address to the error that DialContext returns for it.
	fail map[string]error

	mu      sync.Mutex
	queried []string
}

func (d *fixedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.queried = append(d.queried, address)
	d.mu.Unlock()
	if err := d.fail[address]; err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, d.to)
}

func (d *fixedDialer) dialled() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.queried...)
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
