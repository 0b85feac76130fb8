// The tool that builds the page. The module is separate, so that the page does not need
// the modules of the server, and the server does not need the modules of the tool.
module github.com/pyth-on/pyth-on/tools/web

go 1.26.3

require (
	github.com/evanw/esbuild v0.28.2
	golang.org/x/sync v0.24.0
)

require golang.org/x/sys v0.0.0-20220715151400-c0bba94af5f8 // indirect
