// Package page embeds the web page of the server and serves its files. The command
// tools/web builds these files from the folder web.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
)

//go:embed all:assets
var assets embed.FS

// Path is the common prefix of the URL paths of the page's files.
const Path = "/page/"

// Names of the HTML documents. The documents load all other files.
const (
	index = "index.html"
	frame = "frame.html"
)

// The content security policies of the two HTML documents. Programs can put untrusted
// HTML into their output. These policies are the main protection of users against such
// HTML.
const (
	// indexPolicy allows only files of this server. A frame can show only frame.html.
	indexPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
		"font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	// framePolicy is the policy for the document that shows the HTML of programs. Because
	// of the directive "sandbox", the document has no origin. So it has no cookies and no
	// storage, and the API refuses its requests. The document cannot load anything.
	framePolicy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; " +
		"font-src data:; media-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; webrtc 'block'"
)

// hashedName matches a file name that contains a hash of the file's content.
var hashedName = regexp.MustCompile(`-[A-Z0-9]{8}\.(js|css)$`)

// zeroWeight matches the weight 0 in Accept-Encoding. The weight 0 means that the client
// does not accept an encoding.
var zeroWeight = regexp.MustCompile(`^ *q=0(\.0*)? *$`)

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// Site holds the files of the web page.
type Site struct{ files map[string]*file }

type file struct {
	compressed []byte
	mediaType  string
	tag        string
}

// Load returns the embedded page. It returns nil if the build did not include the page.
func Load() (*Site, error) { return load(assets) }

func load(from fs.FS) (*Site, error) {
	names, err := fs.Glob(from, "assets/*.gz")
	if err != nil {
		return nil, err
	}
	s := &Site{files: map[string]*file{}}
	for _, name := range names {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(path.Base(name), ".gz")
		mediaType := mediaTypes[path.Ext(base)]
		if mediaType == "" {
			return nil, fmt.Errorf("the page has a file of an unknown type: %s", base)
		}
		sum := sha256.Sum256(data)
		s.files[base] = &file{data, mediaType, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	if s.files[index] == nil {
		return nil, nil
	}
	if s.files[frame] == nil {
		return nil, errors.New("the page has no " + frame)
	}
	return s, nil
}

// Index writes the HTML document of the page (index.html).
func (s *Site) Index(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", indexPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	s.files[index].serve(w, r, "no-cache")
}

// Serve writes the file with the given name. It returns false if no such file exists.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request, name string) bool {
	f := s.files[name]
	if f == nil || name == index {
		return false
	}
	caching := "no-cache"
	switch {
	case name == frame:
		w.Header().Set("Content-Security-Policy", framePolicy)
		w.Header().Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), clipboard-write=(), fullscreen=()")
	case hashedName.MatchString(name):
		caching = "public, max-age=31536000, immutable"
	default:
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	f.serve(w, r, caching)
	return true
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, caching string) {
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Set("Etag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.mediaType)
	if acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(f.compressed) // Ignore the error, because the client may have disconnected.
		return
	}
	content, err := gzip.NewReader(bytes.NewReader(f.compressed))
	if err == nil {
		_, _ = io.Copy(w, content) //nolint:gosec // The content is part of this program.
	}
}

// acceptsGzip reports whether the client accepts gzip (RFC 9110, section 12.5.3).
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		name = strings.TrimSpace(name)
		if (strings.EqualFold(name, "gzip") || name == "*") && !zeroWeight.MatchString(weight) {
			return true
		}
	}
	return false
}
