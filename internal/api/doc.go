// Package api serves the API of Pyth-On over HTTP. docs/api.md describes the API,
// and /openapi.json specifies it.
//
// Guarantees:
//
//   - Every error is application/problem+json with the schema Error, even if the
//     router, the decoder or a panic caused it.
//   - Every response has X-Request-Id and a line in the access log.
//   - Log lines and errors never contain passwords, keys, tokens, code, environment
//     variables or standard input.
//   - Request bodies are strict JSON with limits on size, depth and time. Callers are
//     authenticated before large bodies are read.
//   - The OpenAPI document is generated from the Go types of requests and
//     responses.
//
// The package makes no decisions about accounts or programs. It translates
// requests into calls of the services, and their results into responses.
package api
