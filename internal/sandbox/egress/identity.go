package egress

// checkIdentity checks the name h from the Host header or the TLS SNI. It returns a
// refusal if a connection to the target must not use this name. The check is necessary
// because a server with several sites selects a site by this name, and not by the dialled
// address.
//
// If the target is a host name, only this name is allowed. If the target is an IP
// address, two kinds of names are allowed: this address, and each name that the rules
// of the run permit.
func (s *clientConn) checkIdentity(t target, h host) *refusal {
	if h == t.host {
		return nil
	}
	if t.host.name == "" && h.name != "" {
		return s.proxy.config.Policy.permit(s.run.rules, target{host: h, port: t.port})
	}
	return denied("a connection to %s must not be used for another host", t)
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
		return denied("a connection to %s must not be used for another port", t)
	}
	return s.checkIdentity(t, named.host)
}
