// Package audit contains decorators of the services of package pyth, which record
// their calls. They know the log by the methods that they call; package log
// implements it.
//
// docs/audit.md describes the actions.
package audit
