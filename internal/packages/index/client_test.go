package index

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

func newClient(t testing.TB, config Config, dial Dial) *Client {
	t.Helper()
	c, err := New(config, dial)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientSendsCredentialsToTheIndexOnly(t *testing.T) {
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
	for _, c := range []*Client{
		newClient(t, Config{URL: own.URL, Credentials: "u:p"}, nil), newClient(t, Config{URL: at.String()}, nil),
	} {
		for _, path := range []string{"page", "away"} {
			if _, _, _, err := c.Page(t.Context(), c.base.JoinPath(path), ""); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		if strings.Contains(c.base.String(), "p@") {
			t.Errorf("the URL is %s", c.base)
		}
	}
	if leaked.Load() {
		t.Error("another host received the credentials")
	}
}

func TestClientDialsOtherHostsWithDial(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer own.Close()
	refusal := errors.New("refused")
	var asked string
	c := newClient(t, Config{URL: own.URL}, func(_ context.Context, _, address string) (net.Conn, error) {
		asked = address
		return nil, refusal
	})
	if _, _, _, err := c.Page(t.Context(), c.base, ""); !errors.Is(err, refusal) || "http://"+asked != other.URL {
		t.Errorf("got %v for %s", err, asked)
	}
}

func TestNewRefusesInvalidURLsWithoutThePassword(t *testing.T) {
	for _, bad := range []string{"ftp://u:secret@x", "u:secret@x/simple", "http://u:secret@/", "://secret", "http://u:secret@x:port"} {
		if _, err := New(Config{URL: bad}, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
