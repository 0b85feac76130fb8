package api

import (
	"net/http"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
	documentation "github.com/pyth-on/pyth-on/docs"
	"github.com/pyth-on/pyth-on/internal/api/docs"
)

const (
	pagesPath     = "/docs/{path...}"
	searchPath    = "/docs/search"
	htmlMediaType = "text/html; charset=utf-8"
	// maxSearchBytes is the maximum length of a search query, in bytes.
	maxSearchBytes = 200
)

// servePages adds the routes of the documentation pages and of their search. The
// pages are rendered at the first request.
func (h *Handler) servePages() {
	site := sync.OnceValues(func() (*docs.Site, error) { return docs.New(documentation.Files(), docsStyle) })
	known := map[string][]string{"q": nil}
	h.mux.HandleFunc("GET "+pagesPath, func(w http.ResponseWriter, r *http.Request) {
		s, err := site()
		if err == nil {
			err = queryFaults(r.URL.RawQuery, nil)
		}
		if err != nil {
			h.writeError(w, r, err)
			return
		}
		file, ok := s.File(r.PathValue("path"))
		if !ok {
			h.writeError(w, r, &pyth.Error{
				Code: pyth.CodeNotFound, Message: "This page does not exist. All pages are listed at /docs/" + docs.Index + ".",
			})
			return
		}
		if file.MediaType != htmlMediaType {
			w.Header().Set("Content-Disposition", "attachment")
		}
		writeDocument(w, file.MediaType, file.Content)
	})
	h.mux.HandleFunc("GET "+searchPath, func(w http.ResponseWriter, r *http.Request) {
		s, err := site()
		if err == nil {
			err = queryFaults(r.URL.RawQuery, known)
		}
		query := r.URL.Query().Get("q")
		if err == nil && len(query) > maxSearchBytes {
			err = pyth.Invalid("query.q", "must have at most %d bytes", maxSearchBytes)
		}
		var page []byte
		if err == nil {
			page, err = s.Search(query)
		}
		if err != nil {
			h.writeError(w, r, err)
			return
		}
		writeDocument(w, htmlMediaType, page)
	})
}

// writeDocument writes a documentation page or file. Browsers may store it, because it
// contains no user data.
func writeDocument(w http.ResponseWriter, mediaType string, content []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Security-Policy", contentSecurityPolicy())
	// Browsers must ask for a new version at each use. An update of the server may change
	// the document.
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(content)
}
