package e2b

import (
	"net/http"
	"strings"
)

// refuseRoutes adds routes for the features that this server does not support. The
// response of these routes is an error. Without these routes, clients would report a
// missing object instead of a missing feature.
func (s *Server) refuseRoutes(mux *http.ServeMux) {
	for _, f := range []struct{ patterns, text string }{
		{"POST /sandboxes/{id}/pause POST /sandboxes/{id}/resume", "Sandboxes cannot be paused and resumed on this server. A sandbox runs until its timeout; extend it with setTimeout."},
		{"POST /sandboxes/{id}/fork", "Sandboxes cannot be forked on this server. Create another sandbox."},
		{"POST /sandboxes/{id}/snapshots GET /snapshots", "This server has no snapshots. Copy files with files.read and files.write."},
		{"PUT /sandboxes/{id}/network", "The network of a running sandbox cannot be changed on this server. Create a sandbox with network.allowOut."},
		{"GET /sandboxes/{id}/metrics GET /sandboxes/metrics", "This server has no metrics of single sandboxes. Its operator has metrics of the whole server."},
		{"GET /sandboxes/{id}/logs GET /v2/sandboxes/{id}/logs", "This server has no logs of sandboxes."},
		{"/templates /templates/ /v2/templates /v2/templates/ /v3/templates", "Templates cannot be built or listed on this server. Its operator adds custom images with --runtime; their names are templates."},
		{"/volumes /volumes/ /volumecontent/", "This server has no volumes. Store files outside of the sandbox."},
		{"/secrets /secrets/", "Secrets of E2B are not supported. Store secrets with PUT /api/v1/secrets/{name} of this server's API."},
		{"/api-keys /api-keys/ /access-tokens /access-tokens/", "Keys are managed with /api/v1/keys of this server's API."},
		{"/teams /teams/ /nodes /nodes/ /admin/", "This server has no teams and nodes of E2B."},
	} {
		refused := s.handle("", func(*call) error { return fail(http.StatusNotImplemented, "%s", f.text) })
		fields := strings.Fields(f.patterns)
		for i := 0; i < len(fields); i++ {
			pattern := fields[i]
			if !strings.HasPrefix(pattern, "/") {
				i++
				pattern += " " + fields[i]
			}
			mux.HandleFunc(pattern, refused)
		}
	}
}
