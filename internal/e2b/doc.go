// Package e2b serves the protocols of E2B, so that the client libraries of E2B can use
// this server without a change.
//
// There are three protocols. The control plane creates, lists and ends sandboxes. Envd
// provides the files, commands and watchers of one sandbox. The interpreter runs code in
// contexts. The server serves all of them at one address. The headers E2b-Sandbox-Id and
// E2b-Sandbox-Port select a sandbox and a protocol. Requests without these headers belong
// to the control plane.
//
// A sandbox is a session, and each further context is a session too. The package stores
// only the data that sessions do not have: metadata, environment variables, access tokens
// and the time at which the sandbox ends. This state is in memory, because sessions do
// not survive a restart of the server either.
package e2b
