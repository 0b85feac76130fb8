// Package mcp offers the API to language models as tools of the Model Context Protocol
// (MCP). The tools call the API with the Go client library, so that authentication,
// scopes, limits and audit entries are those of the API.
//
// There are two transports: the handler of the endpoint /mcp of a server
// (NewHandler), and standard input and output (Server.ServeStdio).
package mcp
