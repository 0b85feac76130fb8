package api_test

import (
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	documentation "github.com/pyth-on/pyth-on/docs"
)

func TestDocsServesEveryPage(t *testing.T) {
	s := newServer(t)
	names, err := fs.Glob(documentation.Files(), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := fs.Glob(documentation.Files(), "decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`)
	reference := style.FindString(s.send(anonymous("GET", "/docs", "")).body)
	integrations, err := fs.Glob(documentation.Files(), "integrations/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(names, decisions, integrations) {
		res := s.send(anonymous("GET", "/docs/"+name, ""))
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%s: status %d, %v", name, res.StatusCode, res.Header)
		}
		// The Content-Security-Policy contains the hash of only one style. So all pages
		// must have this style.
		if style.FindString(res.body) != reference {
			t.Errorf("%s has another style than the reference", name)
		}
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is %q", name, policy)
		}
	}
	if res := s.send(anonymous("GET", "/docs/zero-knowledge-vectors.json", "")); res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the vectors: status %d, %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/docs/nothing.md", "/docs/decisions", "/docs/embed.go", "/docs/../error.go", "/docs/"} {
		if res := s.send(anonymous("GET", path, "")); res.StatusCode != http.StatusNotFound || res.problem(t).Code != "not_found" {
			t.Errorf("%s: status %d: %.200s", path, res.StatusCode, res.body)
		}
	}
	if res := s.send(anonymous("GET", "/docs/api.md?x=1", "")); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown parameter: status %d", res.StatusCode)
	}
}

// TestDocsReferenceLinksToPages checks the links on the generated pages: the API
// reference, the list of errors and the search results.
func TestDocsReferenceLinksToPages(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/docs", "/docs/errors", "/docs/search?q=secret"} {
		base, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`href="([^"#]+)`).FindAllStringSubmatch(s.send(anonymous("GET", path, "")).body, -1) {
			link, err := base.Parse(html.UnescapeString(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			if res := s.send(anonymous("GET", link.Path, "")); res.StatusCode != http.StatusOK {
				t.Errorf("%s links to %s: status %d", path, link, res.StatusCode)
			}
		}
	}
}

func TestDocsSearch(t *testing.T) {
	s := newServer(t)
	res := s.send(anonymous("GET", "/docs/search?q=idleTimeoutMs", ""))
	if res.StatusCode != http.StatusOK || !strings.Contains(res.body, `<a href="sessions.md#`) {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	if res := s.send(anonymous("GET", "/docs/search", "")); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Enter one or more words") {
		t.Errorf("without a query: status %d: %s", res.StatusCode, res.body)
	}
	for _, query := range []string{"?q=" + strings.Repeat("a", 201), "?q=a&q=b", "?query=a"} {
		if res := s.send(anonymous("GET", "/docs/search"+query, "")); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", query, res.StatusCode)
		}
	}
}
