package egress_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

// recordingDialer stores the dialled addresses. Nothing answers on the
// connections that it returns.
type recordingDialer struct{ dialled []string }

func (h *recordingDialer) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	h.dialled = append(h.dialled, address)
	ours, theirs := net.Pipe()
	_ = theirs.Close()
	return ours, nil
}

func TestDialContextReachesPublicHostsOnly(t *testing.T) {
	deny, err := egress.ParseDeny([]string{"denied.test"})
	if err != nil {
		t.Fatal(err)
	}
	public := netip.MustParseAddr("93.184.215.14")
	n := &names{known: map[string][]netip.Addr{
		"files.test.": {netip.MustParseAddr("10.0.0.1"), public}, "inside.test.": {netip.MustParseAddr("127.0.0.1")}, "denied.test.": {public},
	}}
	for address, want := range map[string]string{
		"files.test:443": "93.184.215.14:443", "93.184.215.14:80": "93.184.215.14:80",
		"inside.test:443": "", "denied.test:443": "", "169.254.169.254:80": "", "127.0.0.1:80": "", "[::1]:80": "", "files.test": "", "0x7f.1:80": "",
	} {
		h := new(recordingDialer)
		// Policy.Off applies only to runs, so DialContext must still work.
		p := egress.New(egress.Config{Policy: egress.Policy{Deny: deny, Off: true}, Resolver: n, Dialer: h, HostAddresses: func() ([]netip.Addr, error) { return nil, nil }})
		conn, err := p.DialContext(t.Context(), "tcp", address)
		if got := strings.Join(h.dialled, " "); got != want || (err == nil) != (want != "") {
			t.Errorf("%s is dialled as %q, %v", address, got, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}
