// Package egress implements the host's side of a run's network: a proxy through which
// each TCP connection of a program passes.
//
// The package guarantees:
//
//   - A program reaches only hosts that both the run's allowlist and the
//     operator's policy allow. If a name resolves to several addresses, each is
//     checked, and only checked addresses are dialled.
//   - Programs cannot resolve names themselves. The proxy resolves only names that
//     the allowlist contains.
//   - The metadata services of clouds are never reached.
//   - Another spelling of a name is either recognized as the same host or refused.
//   - The Host header of plain HTTP and the SNI of TLS match the allowed target.
//   - Memory, time and connections of each run are limited.
//   - The proxy records each connection, with the number of bytes in each direction. If
//     the proxy refused the connection, the record contains the reason.
//   - After Serve returns, no goroutine or socket of the connection remains. After
//     Run.Close returns, no goroutine or socket of the run remains.
//
// The proxy does not decrypt TLS, so it cannot read what a program exchanges with an
// allowed host.
//
// One port of the proxy serves HTTP (CONNECT, and absolute URLs for plain HTTP) and
// SOCKS5. The first byte of a connection selects the protocol.
package egress
