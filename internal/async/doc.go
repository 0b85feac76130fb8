// Package async accepts runs whose caller does not wait, and starts them later.
//
// The store is the truth about a run: it contains the queued runs with their sealed
// requests, and decides which server may start which run. A Service holds only the
// runs that it has claimed. It takes them from all users in turn.
package async
