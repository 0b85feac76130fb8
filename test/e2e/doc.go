// Package e2e tests the real binary with real sandboxes, over HTTP and on the command
// line. It checks that every response conforms to the OpenAPI document of the server.
package e2e
