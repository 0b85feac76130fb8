package egress

// checkIdentity returns a refusal if a connection to the target may not name the
// host in a Host header or as TLS SNI. A server with many names selects one by
// this header or SNI, not by its address.
//
// A connection to a name must use that name. A connection to an address may also
// use a name that the rules allow.
func (s *clientConn) checkIdentity(t target, h host) *refusal {
	if h == t.host {
		return nil
	}
	if t.host.name == "" && h.name != "" {
		return s.proxy.config.Policy.permit(s.run.rules, target{host: h, port: t.port})
	}
	return denied("a connection to %s must not be for another host", t)
}

// checkHost applies checkIdentity to the Host header of a request.
func (s *clientConn) checkHost(t target, req *request) *refusal {
	if !req.hasHost {
		return denied("a request to %s must have a Host header", t)
	}
	named, err := parseTarget(req.host, t.port)
	if err != nil {
		return denied("the Host header %v", err)
	}
	if named.port != t.port {
		return denied("a connection to %s must not be for another port", t)
	}
	return s.checkIdentity(t, named.host)
}
