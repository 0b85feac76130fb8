// Package app builds Pyth-On's programs from the other packages: a server
// (NewServer), programs without a server (NewLocal), and the examination of a
// host (Examine). The commands parse flags and call it.
package app
