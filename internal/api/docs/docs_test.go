package docs_test

import (
	"html"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	documentation "github.com/pyth-on/pyth-on/docs"
	"github.com/pyth-on/pyth-on/internal/api/docs"
)

func newSite(t *testing.T, files fs.FS) *docs.Site {
	t.Helper()
	site, err := docs.New(files, "body{}")
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func page(t *testing.T, site *docs.Site, name string) string {
	t.Helper()
	file, ok := site.File(name)
	if !ok {
		t.Fatalf("there is no page %s", name)
	}
	return string(file.Content)
}

var href = regexp.MustCompile(`href="([^"]*)"`)

func TestSiteServesEveryPageAndLink(t *testing.T) {
	files := documentation.Files()
	site := newSite(t, files)
	pages := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".md" {
			return err
		}
		pages++
		content := page(t, site, name)
		if !strings.Contains(content, "<h1 id=") {
			t.Errorf("%s has no title", name)
		}
		for _, m := range href.FindAllStringSubmatch(content, -1) {
			link := html.UnescapeString(m[1])
			target, anchor, _ := strings.Cut(link, "#")
			switch {
			case strings.HasPrefix(link, "https://"), link == "/docs":
				continue
			case target == "":
				target = name
			default:
				target = path.Join(path.Dir(name), target)
			}
			file, ok := site.File(target)
			if !ok {
				t.Errorf("%s links to %s, which is not served", name, link)
			} else if anchor != "" && !strings.Contains(string(file.Content), `id="`+anchor+`"`) {
				t.Errorf("%s links to %s, which has no such section", name, link)
			}
		}
		// The index page must link to all pages, except to pages in folders such as
		// decisions.
		if path.Dir(name) == "." && !strings.Contains(page(t, site, docs.Index), `href="`+name+`"`) {
			t.Errorf("the index has no link to %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 40 {
		t.Errorf("only %d pages were found", pages)
	}
}

func TestSiteLoadsNothingFromAnotherHost(t *testing.T) {
	files := documentation.Files()
	site := newSite(t, files)
	loads := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|source|video|audio)\b|@import|url\(|<[a-z]+ [^>]*\bon[a-z]+=`)
	names, err := fs.Glob(files, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if m := loads.FindString(page(t, site, name)); m != "" {
			t.Errorf("%s has %q", name, m)
		}
	}
}

func TestSiteEscapesHTML(t *testing.T) {
	site := newSite(t, fstest.MapFS{"README.md": {Data: []byte("# A <b>title</b> & more\n\n<script>alert(1)</script>\n\n" +
		"`<script>` and <img src=x onerror=alert(1)> and [a](javascript:alert(1)) and \"<i>\n\n```\n</code><script>alert(2)</script>\n```\n")}})
	content := page(t, site, "README.md")
	if m := regexp.MustCompile(`<script|<img|javascript:|<b>|<i>`).FindString(content); m != "" {
		t.Errorf("the page has %q: %s", m, content)
	}
	if !strings.Contains(content, "&lt;/code&gt;&lt;script&gt;alert(2)") {
		t.Errorf("code is changed: %s", content)
	}
	found, err := site.Search(`<script>"alert`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(found), "<script") || !strings.Contains(string(found), `value="&lt;script&gt;&#34;alert"`) {
		t.Errorf("the search shows HTML: %s", found)
	}
}

func TestSiteOmitsForeignLinks(t *testing.T) {
	site := newSite(t, fstest.MapFS{
		"README.md": {Data: []byte("# A\n\n[code](../code.go) [b](sub/b.md) [web](https://example.org/)\n<!-- not run: a test -->\n")},
		"sub/b.md":  {Data: []byte("# B\n\n[up](../README.md#a) [out](../../README.md)\n")},
	})
	content := page(t, site, "README.md")
	for _, want := range []string{"<p>code <a href=\"sub/b.md\">b</a>", `<a href="https://example.org/">web</a>`} {
		if !strings.Contains(content, want) {
			t.Errorf("no %s in %s", want, content)
		}
	}
	if strings.Contains(content, "not run") || strings.Contains(content, "code.go") {
		t.Errorf("the page shows a marker or a broken link: %s", content)
	}
	content = page(t, site, "sub/b.md")
	if !strings.Contains(content, `<a href="../README.md#a">up</a> out`) || !strings.Contains(content, `<a href="../README.md">Overview</a>`) {
		t.Errorf("links of pages in folders: %s", content)
	}
}

func TestSearchFindsSections(t *testing.T) {
	site := newSite(t, documentation.Files())
	for query, want := range map[string]string{
		"systemd":                `href="server.md#systemd"`,
		"max-queued":             `href="settings.md#`,
		"sealed password":        `href="zero-knowledge.md#sealed-passwords"`,
		"Redaction":              `href="secrets.md#redaction"`,
		"quota_exceeded":         `href="errors.md`,
		"outputfil pattern":      `href="api.md#`,
		"token_budget_exhausted": `href="errors.md`,
		"mkfs erofs":             `href="decisions/0002-erofs-root.md`,
	} {
		found, err := site.Search(query)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(found), want) {
			t.Errorf("%q does not find %s: %s", query, want, found)
		}
	}
	for _, query := range []string{"", "  ", "xyzzy", "systemd xyzzy", strings.Repeat("a ", 1000)} {
		found, err := site.Search(query)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(found), `class="hits"`) && query != strings.Repeat("a ", 1000) {
			t.Errorf("%q has results", query)
		}
	}
}
