package protocol

// KindDial is the request of a stream that connects to a server in the session. The
// payload is a Dial. The guest answers with Done. On success, both sides then send Data
// frames with the bytes of the connection, and End when they send no more bytes.
const KindDial Kind = 'z'

// Dial names a TCP port on the loopback address of the session.
type Dial struct{ Port int }

func (m *Dial) visit(f *fields) { number(f, &m.Port) }

// ProxyAddresses returns the addresses inside a sandbox that are reserved for proxies.
func ProxyAddresses() []string { return []string{ProxyAddress, SessionProxyAddress} }
