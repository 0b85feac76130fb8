// Package api serves the API of Pyth-On over HTTP, as docs/api.md describes
// it and /openapi.json states it.
//
// It promises:
//   - every error is application/problem+json in the one schema Error, whether
//     a service, the router, the decoder or a panic caused it;
//   - every response carries X-Request-Id and is in the access log;
//   - passwords, keys, tokens, code, environments and standard input are
//     never in a log line or in an error;
//   - bodies are strict JSON, bounded in size, depth and time before anything
//     looks at them, and callers are authenticated before large ones are read;
//   - the OpenAPI document is generated from the types that are sent, and
//     responses conform to it.
//
// It decides nothing about accounts or programs: it turns requests into calls
// of pyth.AccountService and pyth.ExecutionService, and what these return into
// responses.
package api
