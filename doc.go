// Package pyth is the vocabulary of Pyth-On: the things the server is about
// (users, credentials, programs, executions) and the roles that act on them.
//
// It depends on nothing but the standard library. Every other package wraps
// one dependency or one concern and speaks in these terms: sqlite stores them,
// http shows them, worker runs them. Only cmd/pyth-on knows all of them.
package pyth
