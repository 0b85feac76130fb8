package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer is the maximum size, in bytes, of a response that the client reads.
const maxAnswer = 256 << 20

// DefaultRetries is the default number of times that a Client repeats a failed request.
const DefaultRetries = 2

// Client calls the API of one server with the credentials of one user. It is safe for
// concurrent use.
type Client struct {
	base    string
	http    *http.Client
	agent   string
	headers http.Header
	retries int
	wait    func(context.Context, *attempt) error
}

// Option changes a setting of a new Client.
type Option func(*Client)

// WithAPIKey authenticates the requests with an API key.
func WithAPIKey(key string) Option {
	return func(c *Client) { c.headers.Set("X-Api-Key", key) }
}

// WithToken authenticates the requests with the token of a login.
func WithToken(token string) Option {
	return func(c *Client) { c.headers.Set("Authorization", "Bearer "+token) }
}

// WithHTTPClient sends the requests with the given HTTP client. The time-out of this HTTP
// client must not be shorter than the duration of the longest run.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http = h }
}

// WithRetries sets how often the client repeats a failed request. The client repeats a
// request if the connection failed, if the status is 429 or 503, or if the error code is
// ErrorCodeInProgress. It repeats the request only if the repetition is safe, so the
// request has its effect at most once. The default is DefaultRetries.
func WithRetries(n int) Option {
	return func(c *Client) { c.retries = n }
}

// WithUserAgent sets the header User-Agent of the requests. The audit log of the server
// records this header.
func WithUserAgent(agent string) Option {
	return func(c *Client) { c.agent = agent }
}

// New returns a client of the server at the given address, for example
// https://api.example.org.
func New(server string, options ...Option) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the address of the server must be a URL such as https://api.example.org, not %q", server)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address of the server must not have a user, a query or a fragment")
	}
	c := &Client{
		base: strings.TrimRight(server, "/"), agent: "pyth-on-go", headers: http.Header{}, retries: DefaultRetries, wait: waitToRetry,
		http: new(http.Client),
	}
	for _, option := range options {
		option(c)
	}
	if c.http.CheckRedirect == nil {
		// Do not follow redirects, because a redirect could send the key to another
		// host. Change only a copy of the HTTP client, because other code may use the
		// original.
		without := *c.http
		without.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.http = &without
	}
	return c, nil
}

// checkPath refuses a path with a segment that is empty, "." or "..". A name or an ID
// in the path could contain such a segment. A proxy would remove the segment, and the
// client's request would then reach a different operation of the API.
func checkPath(path string) error {
	path, _, _ = strings.Cut(path, "?")
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("the path %q has a name or an ID that is empty, %q or %q", path, ".", "..")
		}
	}
	return nil
}

// Server returns the address of the server.
func (c *Client) Server() string { return c.base }

// call is one request to the API.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	// body is the value to encode as JSON. It is nil for a request without JSON. The
	// field "content" is the body of a request that is not JSON.
	body    any
	content io.ReadSeeker
	// repeatable is true if the client may send the request twice. Even then, the request
	// has its effect only once.
	repeatable bool
}

// Call sends a request to a path of the API, and decodes the response into the parameter
// "answer", which must be a pointer. If the body is not nil, Call encodes it as JSON. Use
// Call for operations for which this package has no method.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	return c.do(ctx, &call{method: method, path: path, body: body, repeatable: method != http.MethodPost}, answer)
}

// do sends the request. If the parameter "answer" is not nil, do decodes the response
// into it.
func (c *Client) do(ctx context.Context, r *call, answer any) error {
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	if answer == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("the answer of %s is not from a Pyth-On server: %w", c.base, err)
	}
	return nil
}

// send sends the request. After a failure, it repeats the request if this is safe. If
// the status is 300 or higher, send returns an *Error. The caller must close the body
// of the response.
func (c *Client) send(ctx context.Context, r *call) (*http.Response, error) {
	if err := checkPath(r.path); err != nil {
		return nil, err
	}
	var encoded []byte
	if r.body != nil {
		var err error
		if encoded, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	for a := (&attempt{}); ; {
		res, err := c.sendOnce(ctx, r, encoded)
		if err == nil {
			return res, nil
		}
		if a.number++; a.number > c.retries || !r.mayRepeat(err) {
			return nil, err
		}
		a.err = err
		if c.wait(ctx, a) != nil {
			return nil, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, r *call, encoded []byte) (*http.Response, error) {
	var content io.Reader = http.NoBody
	switch {
	case r.body != nil:
		content = bytes.NewReader(encoded)
	case r.content != nil:
		content = io.NopCloser(r.content)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, content)
	if err != nil {
		return nil, err
	}
	for _, headers := range []http.Header{c.headers, r.header} {
		for name, values := range headers {
			request.Header[name] = values
		}
	}
	request.Header.Set("User-Agent", c.agent)
	switch {
	case r.body != nil:
		request.Header.Set("Content-Type", "application/json")
	case r.content != nil:
		request.Header.Set("Content-Type", "application/octet-stream")
		if request.ContentLength, err = r.content.Seek(0, io.SeekEnd); err != nil {
			return nil, err
		}
		if _, err := r.content.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if request.ContentLength == 0 {
			request.Body = http.NoBody
		}
	}
	res, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < http.StatusMultipleChoices {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, readError(res)
}

// Bool returns a pointer to the value. Use it to set an optional field.
func Bool(value bool) *bool { return &value }
