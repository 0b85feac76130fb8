package api

import (
	"net/http"
	"strings"
)

// filePath stands for the path of a file in the patterns of operations.
const filePath = "{path}"

// packageName stands for the name of a package, which may have a scope.
const packageName = "{package}"

// pathMux lets the path of a file, or the name of a package, have slashes, for which OpenAPI has no
// notation.
type pathMux struct{ *http.ServeMux }

// HandleFunc adds a handler.
func (m pathMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.ServeMux.HandleFunc(muxPattern(pattern), handler)
}

// muxPattern returns the pattern of http.ServeMux for one of OpenAPI.
func muxPattern(pattern string) string {
	if before, ok := strings.CutSuffix(pattern, "/"+filePath); ok {
		return before + "/{path...}"
	}
	if before, ok := strings.CutSuffix(pattern, "/"+packageName); ok {
		return before + "/{package...}"
	}
	return pattern
}

// namesSessionFile is whether the path is that of a session's file, however
// unclean: then it is the name of the file that is at fault.
func namesSessionFile(path string) bool {
	rest, ok := strings.CutPrefix(path, sessionsPath+"/")
	id, rest, _ := strings.Cut(rest, "/")
	return ok && id != "" && id != "." && id != ".." && strings.HasPrefix(rest, "files/")
}
