// Package egress is the host's side of a run's network: a proxy to which each
// TCP connection of the program is handed as a stream.
//
// It promises that a program reaches only what both the run's rules and the
// operator's policy allow: hosts by name, of which each address is checked and
// the very address that was checked is dialled; that names are resolved here
// only, and only those that the rules allow; that the metadata services of
// clouds are never reached; that a name that is spelt otherwise is either the
// same one or refused; that what a connection says of its target — Host of
// plain HTTP, SNI of TLS — is the target that was allowed; that memory, time
// and connections of each run stay within bounds; that each connection is
// recorded with its bytes and the reason why it was refused; and that when
// Serve or Close returns nothing of the connection or the run is left.
//
// It does not look into TLS: what a program says to a host that it may reach is
// between the two.
//
// One port speaks both HTTP (CONNECT, and absolute URLs for plain HTTP) and
// SOCKS5; the first byte tells which.
package egress
