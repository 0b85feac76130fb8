package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed account.js
var accountScript string

//go:embed account.html.tmpl
var accountTemplate string

// accountStyle places the form below its label. The style of the documentation pages
// places forms at the right.
const accountStyle = "form { float: none; } "

// serveAccountPage adds the account page. On this page, users register with an invite
// or a setup code, and set new passwords. The code is in the fragment of the link, so
// neither servers nor logs receive it. The page loads nothing from other hosts.
func (h *Handler) serveAccountPage() {
	style := docsStyle + accountStyle
	policy := "default-src 'none'; connect-src 'self'; script-src " + hashSource(accountScript) + "; style-src " + hashSource(style) +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	page := new(bytes.Buffer)
	values := struct {
		Style  template.CSS
		Script template.JS
	}{template.CSS(style), template.JS(accountScript)} // Both texts are constants.
	if err := template.Must(template.New("account").Parse(accountTemplate)).Execute(page, values); err != nil {
		h.faults = append(h.faults, err)
	}
	h.mux.HandleFunc("GET "+AccountPath, func(w http.ResponseWriter, r *http.Request) {
		if err := queryFaults(r.URL.RawQuery, nil); err != nil {
			h.writeError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", htmlMediaType)
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(page.Bytes()) // The client may have disconnected.
	})
}

// hashSource returns the source expression of a Content-Security-Policy that allows only
// this text.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
