package api

import (
	"net/http"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/page"
)

// serveSite adds the web page of the server. Its routes are / and the path of the account
// page. Links in mails lead to the account page. If the build did not include the web
// page, / leads to the documentation.
func (h *Handler) serveSite() {
	site, err := page.Load()
	if err != nil {
		h.faults = append(h.faults, err)
		return
	}
	if site == nil {
		h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, docsPath, http.StatusFound) })
		h.mux.HandleFunc("GET "+AccountPath, func(w http.ResponseWriter, r *http.Request) {
			h.writeError(w, r, &pyth.Error{Code: pyth.CodeNotFound, Message: "This server was built without its web page. Send the code from the link to POST /api/register or POST /api/password/reset."})
		})
		return
	}
	index := func(w http.ResponseWriter, r *http.Request) {
		if err := queryFaults(r.URL.RawQuery, nil); err != nil {
			h.writeError(w, r, err)
			return
		}
		site.Index(w, r)
	}
	h.mux.HandleFunc("GET /{$}", index)
	h.mux.HandleFunc("GET "+AccountPath, index)
	h.mux.HandleFunc("GET "+page.Path+"{file}", func(w http.ResponseWriter, r *http.Request) {
		if !site.Serve(w, r, r.PathValue("file")) {
			h.writeError(w, r, &pyth.Error{Code: pyth.CodeNotFound, Message: "The page has no such file. Reload the page at /, because the server may have a new version."})
		}
	})
}
