package egress

// speaksOf tells why a connection to the target may not say that it is for the
// host, in a Host header or as the SNI of TLS. A server with many names goes by
// what is said, not by how it was reached.
//
// Who connects to a name must say that name. Who connects to an address may
// also say a name, but one that the rules have.
func (s *session) speaksOf(t target, h host) *refusal {
	if h == t.host {
		return nil
	}
	if t.host.name == "" && h.name != "" {
		return s.proxy.config.Policy.permit(s.run.rules, target{host: h, port: t.port})
	}
	return denied("a connection to %s must not be for another host", t)
}

// checkHost does so for the Host header of a request.
func (s *session) checkHost(t target, req *request) *refusal {
	if !req.hasHost {
		return denied("a request to %s must have a Host header", t)
	}
	said, err := parseTarget(req.host, t.port)
	if err != nil {
		return denied("the Host header %v", err)
	}
	if said.port != t.port {
		return denied("a connection to %s must not be for another port", t)
	}
	return s.speaksOf(t, said.host)
}
