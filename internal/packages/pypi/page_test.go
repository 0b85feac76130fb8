package pypi

import (
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
)

func newClient(t testing.TB, url string) *index.Client {
	t.Helper()
	c, err := index.New(index.Config{URL: url}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func examplePages() map[string]string {
	return map[string]string{
		"text/html; charset=utf-8": `<html><a href="../../f/some_pkg-1.0-py3-none-any.whl#sha256=` + hex64 + `" data-requires-python="&gt;=3.8">x</a>
<a href="https://files.example/Some.Pkg-2.0-py3-none-any.whl" data-yanked="bad" data-core-metadata="sha256=` + hex64 + `">y</a>
<a href="some_pkg-1.0.tar.gz">sdist</a><a href="other-1.0-py3-none-any.whl">other</a><a href="javascript:x">z</a><a href="some_pkg-x-py3-none-any.whl">v</a>`,
		simpleJSON: `{"meta":{},"files":[{"filename":"lie.whl","url":"../../f/some_pkg-1.0-py3-none-any.whl","hashes":{"sha256":"` + hex64 + `","md5":"1"},"requires-python":">=3.8","yanked":false},
{"url":"https://files.example/Some.Pkg-2.0-py3-none-any.whl","hashes":{},"yanked":"bad","core-metadata":{"sha256":"` + hex64 + `"}},{"url":"some_pkg-1.0.zip"},{"url":"file:///some_pkg-1.0-py3-none-any.whl"}]}`,
	}
}

func TestParsePageAcceptsBothFormats(t *testing.T) {
	c := newClient(t, "http://index.example/root/simple")
	at := c.Base().JoinPath("some-pkg", "/")
	for media, page := range examplePages() {
		files, err := parsePage(c, "some-pkg", []byte(page), media, at)
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: %+v, %v", media, files, err)
		}
		one, two := files[0], files[1]
		if one.url.String() != "http://index.example/root/f/some_pkg-1.0-py3-none-any.whl" || one.hash != imagestore.SRIFromHex("sha256", hex64) || one.requiresPython != ">=3.8" || one.yanked != nil || one.hasMetadata {
			t.Errorf("%s: %+v", media, one)
		}
		if two.hash != "" || two.yanked != "bad" || !two.hasMetadata || two.metadata != imagestore.SRIFromHex("sha256", hex64) || two.version != "2.0" {
			t.Errorf("%s: %+v", media, two)
		}
	}
}

func FuzzParsePage(f *testing.F) {
	for media, page := range examplePages() {
		f.Add(media, page)
	}
	c := newClient(f, "https://index.example/simple")
	f.Fuzz(func(t *testing.T, media, page string) {
		files, err := parsePage(c, "some-pkg", []byte(page), media, c.Base())
		if err != nil {
			return
		}
		for _, w := range files {
			if w.url.Scheme != "https" || w.url.User != nil || !wheelName.MatchString(w.filename) || strings.ContainsAny(w.filename, "/\\") || !versionPattern.MatchString(w.version) {
				t.Errorf("got %+v", w)
			}
		}
	})
}
