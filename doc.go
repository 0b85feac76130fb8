// Package pyth is the vocabulary of Pyth-On: the types of the domain (users,
// credentials, programs, executions) and the interfaces of the services.
//
// It depends on the standard library only. Every other package wraps one dependency
// or one concern and uses these types: sqlite stores them, api serves them, the pool
// runs them. Only internal/app knows all packages.
package pyth
