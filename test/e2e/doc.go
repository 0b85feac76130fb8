// Package e2e tests the program as its users see it: the real binary, over HTTP
// and on the command line, with real sandboxes. Every response is checked against
// the OpenAPI document that the server itself serves.
package e2e
