// Package audit contains decorators for the services of package pyth. The decorators
// record calls in a Recorder, which package log implements.
//
// docs/audit.md describes the actions that the decorators record.
package audit
