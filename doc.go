// Package pyth defines the types of Pyth-On, such as users, programs and executions,
// and the interfaces of its services.
//
// It depends on the standard library only. Each other package implements one service
// or uses one dependency: package sqlite stores these types, package api serves them
// over HTTP, package pool runs programs. Only internal/app imports all packages.
package pyth
