package packages

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func sourceOf(t testing.TB, index Index, dial Dial) *source {
	t.Helper()
	s, err := newSource(index, dial)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyTheIndexIsToldTheCredentials(t *testing.T) {
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(leaked.Load() || r.Header.Get("Authorization") != "")
		_, _ = w.Write([]byte("other"))
	}))
	defer other.Close()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "u" || pass != "p" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		if strings.HasSuffix(r.URL.Path, "/away") {
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	defer own.Close()
	at, err := url.Parse(own.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("u", "p")
	for _, s := range []*source{
		sourceOf(t, Index{URL: own.URL, Credentials: "u:p"}, nil), sourceOf(t, Index{URL: at.String()}, nil),
	} {
		for _, path := range []string{"page", "away"} {
			if _, _, _, err := s.page(t.Context(), s.base.JoinPath(path), ""); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		if strings.Contains(s.base.String(), "p@") {
			t.Errorf("the URL is %s", s.base)
		}
	}
	if leaked.Load() {
		t.Error("another was told them")
	}
}

func TestWhereTheIndexLeadsIsDialledWithCare(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer own.Close()
	refusal := errors.New("refused")
	var asked string
	s := sourceOf(t, Index{URL: own.URL}, func(_ context.Context, _, address string) (net.Conn, error) {
		asked = address
		return nil, refusal
	})
	if _, _, _, err := s.page(t.Context(), s.base, ""); !errors.Is(err, refusal) || "http://"+asked != other.URL {
		t.Errorf("got %v for %s", err, asked)
	}
}

func TestAnIndexThatIsNoneIsRefusedWithoutItsPassword(t *testing.T) {
	for _, bad := range []string{"ftp://u:secret@x", "u:secret@x/simple", "http://u:secret@/", "://secret", "http://u:secret@x:port"} {
		if _, err := newSource(Index{URL: bad}, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func pages() map[string]string {
	return map[string]string{
		"text/html; charset=utf-8": `<html><a href="../../f/some_pkg-1.0-py3-none-any.whl#sha256=` + hex64 + `" data-requires-python="&gt;=3.8">x</a>
<a href="https://files.example/Some.Pkg-2.0-py3-none-any.whl" data-yanked="bad" data-core-metadata="sha256=` + hex64 + `">y</a>
<a href="some_pkg-1.0.tar.gz">sdist</a><a href="other-1.0-py3-none-any.whl">other</a><a href="javascript:x">z</a><a href="some_pkg-x-py3-none-any.whl">v</a>`,
		simpleJSON: `{"meta":{},"files":[{"filename":"lie.whl","url":"../../f/some_pkg-1.0-py3-none-any.whl","hashes":{"sha256":"` + hex64 + `","md5":"1"},"requires-python":">=3.8","yanked":false},
{"url":"https://files.example/Some.Pkg-2.0-py3-none-any.whl","hashes":{},"yanked":"bad","core-metadata":{"sha256":"` + hex64 + `"}},{"url":"some_pkg-1.0.zip"},{"url":"file:///some_pkg-1.0-py3-none-any.whl"}]}`,
	}
}

func TestAPageIsReadInBothForms(t *testing.T) {
	s := sourceOf(t, Index{URL: "http://index.example/root/simple"}, nil)
	at := s.base.JoinPath("some-pkg", "/")
	for media, page := range pages() {
		files, err := parsePage(s, "some-pkg", []byte(page), media, at)
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: %+v, %v", media, files, err)
		}
		one, two := files[0], files[1]
		if one.url.String() != "http://index.example/root/f/some_pkg-1.0-py3-none-any.whl" || one.hash != sriOfHex("sha256", hex64) || one.requiresPython != ">=3.8" || one.yanked != nil || one.hasMetadata {
			t.Errorf("%s: %+v", media, one)
		}
		if two.hash != "" || two.yanked != "bad" || !two.hasMetadata || two.metadata != sriOfHex("sha256", hex64) || two.version != "2.0" {
			t.Errorf("%s: %+v", media, two)
		}
	}
}

func FuzzPage(f *testing.F) {
	for media, page := range pages() {
		f.Add(media, page)
	}
	s := sourceOf(f, Index{URL: "https://index.example/simple"}, nil)
	f.Fuzz(func(t *testing.T, media, page string) {
		files, err := parsePage(s, "some-pkg", []byte(page), media, s.base)
		if err != nil {
			return
		}
		for _, w := range files {
			if w.url.Scheme != "https" || w.url.User != nil || !wheelName.MatchString(w.filename) || strings.ContainsAny(w.filename, "/\\") || !pythonVersion.MatchString(w.version) {
				t.Errorf("got %+v", w)
			}
		}
	})
}

func TestPlacesOfNode(t *testing.T) {
	for place, valid := range map[string]bool{
		"node_modules/a": true, "node_modules/@s/a": true, "node_modules/a/node_modules/@s/b": true,
		"": false, "a": false, "node_modules": false, "node_modules/": false, "node_modules/../a": false, "node_modules/a/b": false,
		"node_modules/a/node_modules": false, "/node_modules/a": false, "node_modules/.bin": false, "node_modules/a/node_modules/../../x": false,
	} {
		if validPlace(place) != valid {
			t.Errorf("%q is valid: %v", place, !valid)
		}
	}
	lock := &lockFile{Packages: map[string]*lockEntry{
		"node_modules/a": {Version: "1"}, "node_modules/b": {Version: "1"}, "node_modules/a/node_modules/b": {Version: "2"},
		"node_modules/@s/c": {Version: "1"}, "node_modules/mac": {Version: "1", OS: list{"darwin"}}, "node_modules/not": {Version: "1", OS: list{"!linux"}},
	}}
	for _, c := range []struct{ from, name, want string }{
		{"node_modules/a", "b", "node_modules/a/node_modules/b"},
		{"node_modules/a/node_modules/b", "a", "node_modules/a"},
		{"node_modules/@s/c", "b", "node_modules/b"},
		{"node_modules/b", "@s/c", "node_modules/@s/c"},
		{"node_modules/a", "mac", ""},
		{"node_modules/a", "not", ""},
		{"node_modules/a", "../x", ""},
	} {
		if got := lock.find(c.from, c.name); got != c.want {
			t.Errorf("%s finds %s at %q", c.from, c.name, got)
		}
	}
}

func TestTheBestHashIsTaken(t *testing.T) {
	h256, h512 := sri("sha256", make([]byte, 32)), sri("sha512", make([]byte, 64))
	for integrity, want := range map[string]string{
		h256 + " " + h512: h512, h512 + "?x": h512, "sha1-AAAA " + h256: h256, "": "", "sha512-short": "", "md5-x": "",
	} {
		if got := strongest(integrity); got != want {
			t.Errorf("%s: %s", integrity, got)
		}
	}
}
