// Package egress implements the host's side of a run's network. It is a proxy
// that receives each TCP connection of the program as a stream.
//
// The package guarantees:
//   - A program reaches only hosts that both the run's allowlist and the
//     operator's policy allow. Each address of a name is checked, and exactly the
//     checked address is dialled.
//   - Names are resolved only here, and only if the allowlist has them.
//   - The metadata services of clouds are never reached.
//   - A different spelling of a name means the same host or is refused.
//   - The Host header of plain HTTP and the SNI of TLS match the allowed target.
//   - Memory, time and connections of each run are limited.
//   - Each connection is recorded, with its bytes and the reason for a refusal.
//   - When Serve or Close returns, nothing of the connection or the run remains.
//
// The proxy does not decrypt TLS, so it does not see what a program exchanges
// with an allowed host.
//
// One port serves both HTTP (CONNECT, and absolute URLs for plain HTTP) and
// SOCKS5. The first byte selects the protocol.
package egress
