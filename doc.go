// Package pyth defines the types of Pyth-On, such as users, programs and executions,
// and the interfaces of its services.
//
// The package depends on the standard library only. Each other package implements one
// service or uses one dependency. For example, package sqlite stores values of these
// types, package api serves the values over HTTP, and package pool runs programs. Only
// internal/app imports all packages.
package pyth
