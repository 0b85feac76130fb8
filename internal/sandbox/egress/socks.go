package egress

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
)

// Codes of SOCKS5 (RFC 1928).
const (
	socksVersion = 5

	methodNone         = 0x00
	methodUnacceptable = 0xff

	commandConnect = 1

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4

	replySucceeded = 0
	replyFailed    = 1
	replyDenied    = 2
	replyNetwork   = 3
	replyHost      = 4
	replyRefused   = 5
	replyCommand   = 7
	replyType      = 8
)

func (s *clientConn) serveSOCKS() {
	s.watch.setDeadline(s.proxy.config.HandshakeTimeout)
	t, refused := readSOCKS(s.r, s.client)
	if refused != nil {
		s.refuse(t, refused)
		_ = writeReply(s.client, refused.reply)
		return
	}
	s.watch.clearDeadline()
	up, refused := s.connect(t)
	if refused != nil {
		s.refuse(t, refused)
		_ = writeReply(s.client, refused.reply)
		return
	}
	defer up.disconnect()
	if writeReply(s.client, replySucceeded) != nil {
		s.finish(up, nil)
		return
	}
	s.tunnel(up)
}

// readSOCKS performs a client's handshake and reads its request.
func readSOCKS(r *bufio.Reader, w io.Writer) (target, *refusal) {
	unfinished := malformed("the SOCKS5 handshake is incomplete")
	var greeting [2]byte
	if _, err := io.ReadFull(r, greeting[:]); err != nil {
		return target{}, unfinished
	}
	methods := make([]byte, greeting[1])
	if _, err := io.ReadFull(r, methods); err != nil {
		return target{}, unfinished
	}
	method := byte(methodNone)
	if greeting[0] != socksVersion || !slices.Contains(methods, methodNone) {
		method = methodUnacceptable
	}
	if _, err := w.Write([]byte{socksVersion, method}); err != nil {
		return target{}, unfinished
	}
	if method == methodUnacceptable {
		return target{}, malformed("SOCKS5 works only without user name and password")
	}

	var request [4]byte
	if _, err := io.ReadFull(r, request[:]); err != nil {
		return target{}, unfinished
	}
	h, refused := readSOCKSHost(r, request[3])
	if refused != nil {
		return target{}, refused
	}
	var port [2]byte
	if _, err := io.ReadFull(r, port[:]); err != nil {
		return target{}, unfinished
	}
	t := target{host: h, port: binary.BigEndian.Uint16(port[:])}
	switch {
	case request[0] != socksVersion || request[2] != 0 || t.port == 0:
		return target{}, malformed("the SOCKS5 request is malformed")
	case request[1] != commandConnect:
		refused := denied("SOCKS5 supports CONNECT only, not BIND or UDP")
		refused.reply = replyCommand
		return t, refused
	}
	return t, nil
}

func readSOCKSHost(r *bufio.Reader, kind byte) (host, *refusal) {
	var size int
	switch kind {
	case typeIPv4:
		size = 4
	case typeIPv6:
		size = 16
	case typeName:
		n, err := r.ReadByte()
		if err != nil {
			return host{}, malformed("the SOCKS5 handshake is incomplete")
		}
		size = int(n)
	default:
		refused := malformed("the SOCKS5 request has an address of an unknown type")
		refused.reply = replyType
		return host{}, refused
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return host{}, malformed("the SOCKS5 handshake is incomplete")
	}
	if addr, ok := netip.AddrFromSlice(b); ok && kind != typeName {
		return host{addr: addr.Unmap()}, nil
	}
	h, err := parseHost(string(b))
	if err != nil {
		return host{}, denied("the target %v", err)
	}
	return h, nil
}

// writeReply answers a request. The reply always contains the address 0.0.0.0, because
// the real address would reveal part of the host's network.
func writeReply(w io.Writer, reply byte) error {
	_, err := w.Write([]byte{socksVersion, reply, 0, typeIPv4, 0, 0, 0, 0, 0, 0})
	return err
}
