package api

import (
	"net/http"
	"strings"
)

// filePath is the path of a file in the patterns of operations.
const filePath = "{path}"

// packageName is the name of a package, which may have a scope.
const packageName = "{package}"

// pathMux allows slashes in the path of a file and the name of a package.
// OpenAPI has no notation for that.
type pathMux struct{ *http.ServeMux }

// HandleFunc adds a handler.
func (m pathMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.ServeMux.HandleFunc(muxPattern(pattern), handler)
}

// muxPattern converts a pattern of OpenAPI to one of http.ServeMux.
func muxPattern(pattern string) string {
	if before, ok := strings.CutSuffix(pattern, "/"+filePath); ok {
		return before + "/{path...}"
	}
	if before, ok := strings.CutSuffix(pattern, "/"+packageName); ok {
		return before + "/{package...}"
	}
	return pattern
}

// namesSessionFile returns whether the path is that of a file in a session. An
// unclean path is then an invalid file name.
func namesSessionFile(path string) bool {
	rest, ok := strings.CutPrefix(path, sessionsPath+"/")
	id, rest, _ := strings.Cut(rest, "/")
	return ok && id != "" && id != "." && id != ".." && strings.HasPrefix(rest, "files/")
}
