package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

// networkFlags are the operator's policy on what programs may reach.
type networkFlags struct {
	Egress           string         `default:"on" enum:"on,off" help:"Whether programs that ask for it may reach hosts of the Internet by name: ${enum}."`
	EgressDeny       []string       `help:"Hosts that no program may reach, such as example.org, *.example.org or example.org:443."`
	EgressMaxHosts   int            `default:"0" help:"How many hosts a program may ask for (default: as many as a request can have)."`
	EgressAllowRange []netip.Prefix `help:"Ranges of private addresses that programs may reach, such as 10.1.0.0/16."`
}

// network is the way out that programs have on this host.
type network struct {
	policy egress.Policy
	proxy  *egress.Proxy
	// packages is the gateway of jobs that resolve packages; nil without packages.
	packages *gateway.Gateway
}

func (f networkFlags) network(observer egress.Observer) (*network, error) {
	deny, err := egress.ParseDeny(f.EgressDeny)
	if err != nil {
		return nil, explain(err)
	}
	policy := egress.Policy{
		Off: f.Egress == "off", Deny: deny, MaxHosts: f.EgressMaxHosts, AllowRanges: f.EgressAllowRange,
	}
	return &network{policy: policy, proxy: egress.New(egress.Config{Policy: policy, Observer: observer})}, nil
}

// Check tells whether a program may ask for the hosts.
func (n *network) Check(hosts []string) error {
	rules, err := egress.ParseRules(hosts)
	if err != nil {
		return err
	}
	return n.policy.Check(rules)
}

// open opens the network of one run.
func (n *network) open(to pyth.Network) (sandbox.Network, error) {
	if to.Gateway != "" {
		if n.packages == nil {
			return nil, errors.New("open network: there is no gateway here")
		}
		return n.packages.Network(to.Gateway), nil
	}
	rules, err := egress.ParseRules(to.Rules)
	if err != nil {
		return nil, err
	}
	return &wayOut{n.proxy, n.proxy.NewRun(rules)}, nil
}

// wayOut is a sandbox.Network.
type wayOut struct {
	proxy *egress.Proxy
	run   *egress.Run
}

func (w *wayOut) Serve(ctx context.Context, conn net.Conn) { w.proxy.Serve(ctx, conn, w.run) }

func (w *wayOut) Close() []pyth.Connection {
	w.run.Close()
	records, dropped := w.run.Connections()
	all := make([]pyth.Connection, 0, len(records)+1)
	for _, c := range records {
		all = append(all, pyth.Connection{
			Host: c.Host, Port: c.Port, SentBytes: c.SentBytes, ReceivedBytes: c.ReceivedBytes,
			Verdict: string(c.Verdict), Reason: c.Reason, Count: c.Count,
		})
	}
	if dropped > 0 {
		all = append(all, pyth.Connection{Verdict: string(egress.Failed), Reason: "more connections than are listed", Count: dropped})
	}
	return all
}

// networkMetrics count the connections of programs. It is an egress.Observer.
type networkMetrics struct {
	connections *prometheus.CounterVec
	bytes       *prometheus.CounterVec
}

func newNetworkMetrics() *networkMetrics {
	m := &networkMetrics{
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_egress_connections_total", Help: "Connections of programs to the outside, by verdict.",
		}, []string{"verdict"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_egress_bytes_total", Help: "Bytes between programs and the outside, by direction.",
		}, []string{"direction"}),
	}
	for _, verdict := range egress.Verdicts() {
		m.connections.WithLabelValues(string(verdict))
	}
	for _, direction := range []string{bytesSent, bytesReceived} {
		m.bytes.WithLabelValues(direction)
	}
	return m
}

// Directions of bytes.
const (
	bytesSent     = "sent"
	bytesReceived = "received"
)

// Finished counts a connection.
func (m *networkMetrics) Finished(c egress.Connection) {
	m.connections.WithLabelValues(string(c.Verdict)).Inc()
	m.bytes.WithLabelValues(bytesSent).Add(float64(c.SentBytes))
	m.bytes.WithLabelValues(bytesReceived).Add(float64(c.ReceivedBytes))
}

func (m *networkMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.connections, m.bytes}
}
