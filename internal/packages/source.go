package packages

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

	pyth "github.com/pyth-on/pyth-on"
)

// Bounds of what an index may say at once. PyPI's longest page has a tenth.
const (
	maxPage      = 128 << 20
	maxRedirects = 5
	// stallTimeout is how long an index may say nothing.
	stallTimeout = 30 * time.Second
)

// Index is where packages of a runtime come from.
type Index struct {
	// URL is of http or https; a user in it is the same as Credentials.
	URL string
	// Credentials are "user:password" or "Bearer token"; "" for none. Nothing but
	// the index itself is told them.
	Credentials string
}

// Dial connects with an address that the index names, if it is one that may be
// reached.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// source is an index as a client of it.
type source struct {
	base          *url.URL
	authorization string
	client        *http.Client
}

// newSource makes the client of an index. The index itself may be anywhere;
// others that it names or leads to are dialled by dial.
func newSource(index Index, dial Dial) (*source, error) {
	base, err := url.Parse(index.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		// The URL itself may hold a password.
		return nil, errors.New("packages: the URL of the index is not one of http or https")
	}
	s := &source{base: base.JoinPath("/")}
	if base.User != nil && index.Credentials == "" {
		password, _ := base.User.Password()
		index.Credentials = base.User.Username() + ":" + password
	}
	s.base.User, s.base.RawQuery, s.base.Fragment = nil, "", ""
	switch {
	case strings.HasPrefix(index.Credentials, "Bearer "):
		s.authorization = index.Credentials
	case index.Credentials != "":
		s.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(index.Credentials))
	}
	own := hostPort(s.base)
	// The proxies of the operator's environment may be anywhere, too.
	var proxies sync.Map
	transport := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			u, err := http.ProxyFromEnvironment(r)
			if u != nil {
				proxies.Store(hostPort(u), true)
			}
			return u, err
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, known := proxies.Load(address); known || address == own || dial == nil {
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
	s.client = &http.Client{
		Transport: s.authorized(transport),
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return errors.New("too many redirects")
			case s.base.Scheme == "https" && r.URL.Scheme != "https":
				return errors.New("a redirect away from https")
			}
			return nil
		},
	}
	return s, nil
}

// hostPort is what is dialled for a URL.
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

// authorized adds the credentials to what goes to the index, and to nothing else.
func (s *source) authorized(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		if s.authorization != "" && r.URL.Scheme == s.base.Scheme && hostPort(r.URL) == hostPort(s.base) {
			r.Header.Set("Authorization", s.authorization)
		}
		return next.RoundTrip(r)
	})
}

// resolve is the address of a file that the index names on a page.
func (s *source) resolve(page *url.URL, reference string) (*url.URL, error) {
	u, err := page.Parse(reference)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, errors.New("packages: the index names what is no URL")
	case s.base.Scheme == "https" && u.Scheme != "https":
		return nil, errors.New("packages: the index leads away from https")
	}
	return u, nil
}

// statusError is an answer other than 200.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("the index answered %d %s", e.status, http.StatusText(e.status))
}

// open asks for a URL. The body ends with an error when nothing comes for a
// while; the caller closes it.
func (s *source) open(ctx context.Context, u *url.URL, accept string) (*http.Response, error) {
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
	response, err := s.client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = &statusError{response.StatusCode}
	}
	if err != nil {
		cancel(nil)
		// The error of a client quotes the URL, of which a query may be secret.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, err
	}
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errors.New("the index does not go on")) })
	response.Body = &watched{ReadCloser: response.Body, stalled: stalled, cancel: cancel}
	return response, nil
}

// page reads a page whole.
func (s *source) page(ctx context.Context, u *url.URL, accept string) (body []byte, media string, at *url.URL, err error) {
	response, err := s.open(ctx, u, accept)
	if err != nil {
		return nil, "", nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err == nil && len(body) > maxPage {
		err = errors.New("the index has too much to say")
	}
	return body, response.Header.Get("Content-Type"), response.Request.URL, err
}

// watched is a body whose reader is ended when nothing comes.
type watched struct {
	io.ReadCloser
	stalled *time.Timer
	cancel  context.CancelCauseFunc
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.stalled.Reset(stallTimeout)
	return n, err
}

func (w *watched) Close() error {
	w.stalled.Stop()
	w.cancel(nil)
	return w.ReadCloser.Close()
}

// unavailable is the error for the caller when the index does not do its part.
func unavailable(err error) error {
	return &pyth.Error{
		Code:    pyth.CodeIndexUnavailable,
		Message: "The index of packages could not be used. Try again later; nothing was changed.",
		Err:     err,
	}
}
