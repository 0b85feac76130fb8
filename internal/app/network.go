package app

import (
	"context"
	"errors"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

// network opens the network of each run, and checks whether a run may connect to a
// host. It implements execution.NetworkPolicy.
type network struct {
	policy egress.Policy
	proxy  *egress.Proxy
	// packages is the gateway through which jobs download package metadata. It is nil
	// if the server does not install packages.
	packages *gateway.Gateway
}

// newNetwork parses the network settings and creates the proxy. The proxy reports all
// connections to the parameter "observer".
func newNetwork(c NetworkConfig, observer egress.Observer) (*network, error) {
	deny, err := egress.ParseDeny(c.EgressDeny)
	if err != nil {
		return nil, Explain(err)
	}
	policy := egress.Policy{
		Off: c.Egress == "off", Deny: deny, MaxHosts: c.EgressMaxHosts, AllowRanges: c.EgressAllowRange,
	}
	return &network{policy: policy, proxy: egress.New(egress.Config{Policy: policy, Observer: observer})}, nil
}

// Check returns an error if one of the given hosts is forbidden for programs.
func (n *network) Check(hosts []string) error {
	rules, err := egress.ParseRules(hosts)
	if err != nil {
		return err
	}
	return n.policy.Check(rules)
}

// The method "open" returns the network for one run. If the parameter "to" contains a
// gateway, the result is the package gateway. Otherwise the result is a tunnel to the
// allowed hosts.
func (n *network) open(to pyth.Network) (sandbox.Network, error) {
	if to.Gateway != "" {
		if n.packages == nil {
			return nil, errors.New("open network: there is no gateway")
		}
		return n.packages.Network(to.Gateway), nil
	}
	rules, err := egress.ParseRules(to.Rules)
	if err != nil {
		return nil, err
	}
	return &tunnel{n.proxy, n.proxy.NewRun(rules)}, nil
}

// tunnel connects one run to the egress proxy. It implements sandbox.Network.
type tunnel struct {
	proxy *egress.Proxy
	run   *egress.Run
}

func (t *tunnel) Serve(ctx context.Context, conn net.Conn) { t.proxy.Serve(ctx, conn, t.run) }

func (t *tunnel) Close() []pyth.Connection {
	t.run.Close()
	records, dropped := t.run.Connections()
	all := make([]pyth.Connection, 0, len(records)+1)
	for _, c := range records {
		all = append(all, pyth.Connection{
			Host: c.Host, Port: c.Port, SentBytes: c.SentBytes, ReceivedBytes: c.ReceivedBytes,
			Verdict: string(c.Verdict), Reason: c.Reason, Count: c.Count,
		})
	}
	if dropped > 0 {
		all = append(all, pyth.Connection{Verdict: string(egress.Failed), Reason: "too many connections to list each one", Count: dropped})
	}
	return all
}

// networkMetrics contains counters for the connections of programs, and for the bytes
// in both directions. It implements egress.Observer.
type networkMetrics struct {
	connections *prometheus.CounterVec
	bytes       *prometheus.CounterVec
}

func newNetworkMetrics() *networkMetrics {
	m := &networkMetrics{
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_egress_connections_total", Help: "Connections from programs to other hosts, by verdict.",
		}, []string{"verdict"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_egress_bytes_total", Help: "Bytes between programs and other hosts, by direction.",
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

// Values of the label "direction" for sent and received bytes.
const (
	bytesSent     = "sent"
	bytesReceived = "received"
)

func (m *networkMetrics) Finished(c egress.Connection) {
	m.connections.WithLabelValues(string(c.Verdict)).Inc()
	m.bytes.WithLabelValues(bytesSent).Add(float64(c.SentBytes))
	m.bytes.WithLabelValues(bytesReceived).Add(float64(c.ReceivedBytes))
}

func (m *networkMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.connections, m.bytes}
}

// discardConnections is an egress.Observer that ignores all connections.
type discardConnections struct{}

func (discardConnections) Finished(egress.Connection) {}
