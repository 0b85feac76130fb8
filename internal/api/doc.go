// Package api serves the API of Pyth-On over HTTP. docs/api.md describes it,
// and /openapi.json specifies it.
//
// Guarantees:
//
//   - Every error is application/problem+json with the schema Error, whether a
//     service, the router, the decoder or a panic caused it.
//   - Every response has X-Request-Id and a line in the access log.
//   - Passwords, keys, tokens, code, environments and standard input are never
//     in a log line or an error.
//   - Bodies are strict JSON with limits on size, depth and time. Callers are
//     authenticated before large bodies are read.
//   - The OpenAPI document is generated from the Go types of requests and
//     responses.
//
// The package makes no decisions about accounts or programs. It translates
// requests into calls of the services, and their results into responses.
package api
