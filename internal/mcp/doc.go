// Package mcp offers the API to language models as tools of the Model Context Protocol
// (MCP). The tools call the API with the Go client library. So the authentication, the
// scopes, the limits and the audit log of the API also apply to the tools.
//
// There are two transports: the handler of the endpoint /mcp of a server
// (NewHandler), and standard input and output (Server.ServeStdio).
package mcp
