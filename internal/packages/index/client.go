// Package index provides an HTTP client for a package index.
//
// The client sends the operator's credentials only to the index. It does not follow
// redirects from https to http. It aborts a request if the index sends no data for some
// time.
package index

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxPage is the maximum size of a page in bytes. The longest page of PyPI is about ten
// times smaller.
const MaxPage = 128 << 20

const (
	maxRedirects = 5
	// stallTimeout is the maximum time for which the index may send no data. After this
	// time, the client aborts the request.
	stallTimeout = 30 * time.Second
)

// ErrNone reports that the configuration contains no index for a runtime.
var ErrNone = errors.New("packages: no index is configured for this runtime")

// Config holds the address of an index and the credentials for it.
type Config struct {
	// URL is an http or https URL. If Credentials is "", the client uses the user
	// and password in URL.
	URL string
	// Credentials has the form "user:password" or "Bearer token". It is "" for an index
	// without credentials.
	Credentials string
}

// Dial connects to a host other than the index, such as the target of a link. It must
// refuse addresses that links must not reach through this server, for example private
// addresses.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Client downloads pages and archives from one index. It is safe for concurrent use.
type Client struct {
	base          *url.URL
	authorization string
	http          *http.Client
}

// New returns a Client. The index may have any address, even a private one. The client
// connects to all other hosts with the function "dial". If this function is nil, the
// other hosts may have any address, too.
func New(config Config, dial Dial) (*Client, error) {
	base, err := url.Parse(config.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		// Do not quote the URL in the error, because it may contain a password.
		return nil, errors.New("packages: the URL of the index must be an http or https URL")
	}
	c := &Client{base: base.JoinPath("/")}
	if base.User != nil && config.Credentials == "" {
		password, _ := base.User.Password()
		config.Credentials = base.User.Username() + ":" + password
	}
	c.base.User, c.base.RawQuery, c.base.Fragment = nil, "", ""
	switch {
	case strings.HasPrefix(config.Credentials, "Bearer "):
		c.authorization = config.Credentials
	case config.Credentials != "":
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(config.Credentials))
	}
	c.http = &http.Client{
		Transport: c.authorized(newTransport(hostPort(c.base), dial)),
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return errors.New("too many redirects")
			case c.base.Scheme == "https" && r.URL.Scheme != "https":
				return errors.New("redirect from https to http")
			}
			return nil
		},
	}
	return c, nil
}

// newTransport returns a transport that connects directly to the index and to the
// operator's proxies. It connects to all other hosts with the function "dial". The
// parameter "index" is the host and port of the index.
func newTransport(index string, dial Dial) *http.Transport {
	var proxies sync.Map
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			u, err := http.ProxyFromEnvironment(r)
			if u != nil {
				proxies.Store(hostPort(u), true)
			}
			return u, err
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, known := proxies.Load(address); known || address == index || dial == nil {
				return (&net.Dialer{Timeout: stallTimeout}).DialContext(ctx, network, address)
			}
			return dial(ctx, network, address)
		},
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   stallTimeout,
		ResponseHeaderTimeout: stallTimeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   8,
	}
}

// hostPort returns the host and the port of the URL. If the URL has no port, hostPort
// returns the default port of the scheme.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The method "authorized" adds the credentials to requests for the index, and removes
// them from all other requests.
func (c *Client) authorized(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		if c.authorization != "" && r.URL.Scheme == c.base.Scheme && hostPort(r.URL) == hostPort(c.base) {
			r.Header.Set("Authorization", c.authorization)
		}
		return next.RoundTrip(r)
	})
}

// Base returns a copy of the URL of the index, without credentials and with a slash
// at the end.
func (c *Client) Base() *url.URL {
	base := *c.base
	return &base
}

// Resolve returns the absolute URL of a link on a page of the index. It returns an error
// if the URL is not an http or https URL. It also returns an error if the link leads from
// https to http.
func (c *Client) Resolve(page *url.URL, reference string) (*url.URL, error) {
	u, err := page.Parse(reference)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, errors.New("packages: the index has an invalid URL on a page")
	case c.base.Scheme == "https" && u.Scheme != "https":
		return nil, errors.New("packages: a page of the index links from https to http")
	}
	return u, nil
}

// StatusError reports that the index responded with a status other than 200.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the index responded with %d %s", e.Status, http.StatusText(e.Status))
}

// Open sends a request for a URL. The caller must close the body. A read of the body
// fails if the index sends no data for some time. If the status is not 200, Open returns
// a StatusError.
func (c *Client) Open(ctx context.Context, u *url.URL, accept string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	request.Header.Set("User-Agent", "pyth-on")
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	response, err := c.http.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = &StatusError{response.StatusCode}
	}
	if err != nil {
		cancel(nil)
		// Return only the cause of the error. A url.Error quotes the URL, and the query
		// of the URL may be secret.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, err
	}
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errors.New("the index sent no data in time")) })
	response.Body = &watchedBody{ReadCloser: response.Body, stalled: stalled, cancel: cancel}
	return response, nil
}

// Page downloads a page of at most MaxPage bytes. It returns the body, its media type,
// and the final URL of the page (after redirects).
func (c *Client) Page(ctx context.Context, u *url.URL, accept string) (body []byte, media string, at *url.URL, err error) {
	response, err := c.Open(ctx, u, accept)
	if err != nil {
		return nil, "", nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, MaxPage+1))
	if err == nil && len(body) > MaxPage {
		err = errors.New("a page of the index is too long")
	}
	return body, response.Header.Get("Content-Type"), response.Request.URL, err
}

// watchedBody is a response body. Each read restarts the timer that aborts the request if
// the index sends no data.
type watchedBody struct {
	io.ReadCloser
	stalled *time.Timer
	cancel  context.CancelCauseFunc
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.stalled.Reset(stallTimeout)
	return n, err
}

func (b *watchedBody) Close() error {
	b.stalled.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// Unavailable returns the error that users see when the index fails. The parameter "err"
// is the cause.
func Unavailable(err error) error {
	return &pyth.Error{
		Code:    pyth.CodeIndexUnavailable,
		Message: "The package index does not respond correctly. Nothing was changed. Try again later.",
		Err:     err,
	}
}

// Unmarshal parses JSON from an index. It accepts duplicate member names and invalid
// UTF-8, because some indexes send such JSON.
func Unmarshal(b []byte, v any) error {
	return json.Unmarshal(b, v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
