// Package app connects the other packages. NewServer creates a server. NewLocal creates
// an object that runs programs without a server. Examine checks a host. The commands
// parse flags and call this package.
package app
