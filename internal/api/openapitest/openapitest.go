// Package openapitest checks in tests whether the responses of a server match the
// server's OpenAPI document.
package openapitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validatorerrors "github.com/pb33f/libopenapi-validator/errors"
)

// Validator checks responses against an OpenAPI document. It is safe for concurrent
// use.
type Validator struct {
	// The lock mu allows only one check at a time, because the validator modifies schemas
	// during a check.
	mu         sync.Mutex
	validate   validator.Validator
	mediaTypes mediaTypes
}

// New returns a Validator for an OpenAPI 3.1 document in JSON or YAML. It fails
// if the document is not valid.
func New(document []byte) (*Validator, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, fmt.Errorf("openapitest: load document: %w", err)
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions())
	if len(errs) > 0 {
		return nil, fmt.Errorf("openapitest: load document: %w", errors.Join(errs...))
	}
	if ok, faults := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("openapitest: load document: %w", join(faults))
	}
	types, err := newMediaTypes(doc)
	if err != nil {
		return nil, fmt.Errorf("openapitest: load document: %w", err)
	}
	return &Validator{validate: v, mediaTypes: types}, nil
}

// Check returns an error if the status, the media type or the body of the response is not
// documented. If the operation is not documented, the response must be an error. Check
// reads res.Body and replaces it, so the caller can still read the body.
func (v *Validator) Check(req *http.Request, res *http.Response) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("openapitest: read response: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return fmt.Errorf("openapitest: read response: %w", err)
	}
	defer func() { res.Body = io.NopCloser(bytes.NewReader(body)) }()

	if res.Header.Get("X-Request-Id") == "" {
		return errors.New("openapitest: the response has no X-Request-Id")
	}
	mediaType := res.Header.Get("Content-Type")
	if res.StatusCode >= 400 && mediaType != "application/problem+json" {
		return fmt.Errorf("openapitest: the media type of status %d is %q", res.StatusCode, mediaType)
	}
	if err := v.mediaTypes.check(req, res); err != nil {
		return err
	}
	if !strings.Contains(mediaType, "json") || res.Header.Get("Content-Disposition") != "" {
		// Skip documentation pages and users' files, because the validator would check
		// them as API responses.
		return nil
	}
	if req.URL.Path == "/openapi.json" && res.StatusCode == http.StatusOK {
		// Skip the OpenAPI document, because it does not describe itself.
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	// Skip the validator if the path is not clean. The validator would clean the path,
	// but the server does not clean it.
	if req.URL.Path != path.Clean(req.URL.Path) && res.StatusCode >= 400 {
		return v.isError(res, body)
	}
	faults := v.response(req, res, body)
	if len(faults) == 1 && (faults[0].IsPathMissingError() || faults[0].IsOperationMissingError()) && res.StatusCode >= 400 {
		return v.isError(res, body)
	}
	if len(faults) > 0 {
		return fmt.Errorf("openapitest: %s %s: %d %s: %w", req.Method, req.URL.Path, res.StatusCode, body, join(faults))
	}
	return nil
}

// isError returns an error if the body does not match the schema Error. To check this, it
// validates the body as a response of /readyz with status 503. The document defines the
// schema Error for this response.
func (v *Validator) isError(res *http.Response, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/readyz", http.NoBody)
	if err != nil {
		return err
	}
	as := *res
	as.StatusCode = http.StatusServiceUnavailable
	if faults := v.response(req, &as, body); len(faults) > 0 {
		return fmt.Errorf("openapitest: %s is no Error: %w", body, join(faults))
	}
	return nil
}

func (v *Validator) response(req *http.Request, res *http.Response, body []byte) []*validatorerrors.ValidationError {
	res.Body = io.NopCloser(bytes.NewReader(body))
	_, faults := v.validate.ValidateHttpResponse(req, res)
	return faults
}

func join(faults []*validatorerrors.ValidationError) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// Transport is a RoundTripper that checks every response. If a response does not match
// the OpenAPI document, RoundTrip returns an error.
type Transport struct {
	Validator *Validator
	// Base sends the requests. If Base is nil, http.DefaultTransport sends them.
	Base http.RoundTripper
}

var _ http.RoundTripper = (*Transport)(nil)

// CloseIdleConnections closes the idle connections of Base.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// RoundTrip sends the request and checks its response.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// Check only the media type of a stream. Reading the whole stream would delay the
	// caller.
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return res, t.Validator.mediaTypes.check(req, res)
	}
	if err := t.Validator.Check(req, res); err != nil {
		return nil, err
	}
	return res, nil
}
