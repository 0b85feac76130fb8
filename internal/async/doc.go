// Package async accepts asynchronous runs, and starts them later. The caller of an
// asynchronous run does not wait for the end of the run.
//
// The store contains the queued runs with their encrypted requests. It decides which
// server may start a run. A Service holds only the runs that it has claimed. It
// claims runs of all users in turn.
package async
