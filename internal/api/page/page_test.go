package page

import (
	"bytes"
	"compress/gzip"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func compressed(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	b := new(bytes.Buffer)
	w := gzip.NewWriter(b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func siteOf(t *testing.T) *Site {
	t.Helper()
	s, err := load(fstest.MapFS{
		"assets/README":              {Data: []byte("text")},
		"assets/index.html.gz":       compressed(t, "<p>index</p>"),
		"assets/frame.html.gz":       compressed(t, "<p>frame</p>"),
		"assets/main-ABCDEFG2.js.gz": compressed(t, "run()"),
		"assets/icon.svg.gz":         compressed(t, "<svg/>"),
	})
	if err != nil || s == nil {
		t.Fatalf("load: %v, %v", s, err)
	}
	return s
}

func TestLoadWithoutPageReturnsNoSite(t *testing.T) {
	if s, err := load(fstest.MapFS{"assets/README": {Data: []byte("text")}}); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	if _, err := load(fstest.MapFS{"assets/index.html.gz": compressed(t, "x")}); err == nil {
		t.Error("a page without its frame loads")
	}
	if _, err := load(fstest.MapFS{"assets/index.html.gz": compressed(t, "x"), "assets/x.exe.gz": compressed(t, "x")}); err == nil {
		t.Error("a page with a file of an unknown type loads")
	}
}

func TestServeSetsCachingAndPolicy(t *testing.T) {
	s := siteOf(t)
	for name, want := range map[string]struct{ caching, policy, mediaType string }{
		"main-ABCDEFG2.js": {"public, max-age=31536000, immutable", "", "text/javascript; charset=utf-8"},
		"frame.html":       {"no-cache", "sandbox allow-scripts; default-src 'none'; ", "text/html; charset=utf-8"},
		"icon.svg":         {"no-cache", "default-src 'none'", "image/svg+xml"},
	} {
		w := httptest.NewRecorder()
		if !s.Serve(w, httptest.NewRequest("GET", "/page/"+name, nil), name) {
			t.Errorf("%s is absent", name)
		}
		h := w.Header()
		if h.Get("Cache-Control") != want.caching || !strings.HasPrefix(h.Get("Content-Security-Policy"), want.policy) || h.Get("Content-Type") != want.mediaType {
			t.Errorf("%s: headers %v", name, h)
		}
	}
	for _, name := range []string{"index.html", "absent.js", "README", "main-ABCDEFG2.js.gz"} {
		if s.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/page/"+name, nil), name) {
			t.Errorf("%s is served", name)
		}
	}
}

func TestIndexForbidsInlineScriptsAndFrames(t *testing.T) {
	w := httptest.NewRecorder()
	siteOf(t).Index(w, httptest.NewRequest("GET", "/", nil))
	policy := w.Header().Get("Content-Security-Policy")
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	if w.Header().Get("Cache-Control") != "no-cache" || w.Body.String() != "<p>index</p>" {
		t.Errorf("got %v, %q", w.Header(), w.Body)
	}
}

func TestServeCompressesOnlyForClientsThatAcceptGzip(t *testing.T) {
	s := siteOf(t)
	for accept, want := range map[string]string{
		"": "", "br": "", "gzip;q=0": "", "gzip; q=0": "", "gzip": "gzip", "br, GZIP;q=0.5": "gzip", "*": "gzip",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		s.Index(w, r)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: got %q", accept, got)
		}
		if want == "" && w.Body.String() != "<p>index</p>" {
			t.Errorf("Accept-Encoding %q: body %q", accept, w.Body)
		}
	}
}

func TestServeAnswersKnownTagWithoutBody(t *testing.T) {
	s := siteOf(t)
	first := httptest.NewRecorder()
	s.Index(first, httptest.NewRequest("GET", "/", nil))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("If-None-Match", first.Header().Get("Etag"))
	second := httptest.NewRecorder()
	s.Index(second, r)
	if second.Code != 304 || second.Body.Len() != 0 || second.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("status %d, headers %v", second.Code, second.Header())
	}
}
