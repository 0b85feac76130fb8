// Package app connects the other packages. It contains the server (NewServer), the
// execution of programs without a server (NewLocal) and the checks of a host
// (Examine). The commands parse flags and call this package.
package app
