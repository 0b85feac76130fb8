// Package audit contains decorators of the services of package pyth, which record
// their calls. The decorators write to a Recorder. Package log implements it.
//
// docs/audit.md describes the actions.
package audit
