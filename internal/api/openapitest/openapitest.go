// Package openapitest checks in tests that a server sends what its OpenAPI
// document says.
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

// Validator checks responses against a document. It is safe for concurrent
// use.
type Validator struct {
	// mu keeps checks apart: the validator resolves schemas as it goes.
	mu         sync.Mutex
	validate   validator.Validator
	mediaTypes mediaTypes
}

// New makes a Validator of an OpenAPI 3.1 document in JSON or YAML. It fails
// when the document itself is not valid.
func New(document []byte) (*Validator, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, fmt.Errorf("openapitest: the document: %w", err)
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions())
	if len(errs) > 0 {
		return nil, fmt.Errorf("openapitest: the document: %w", errors.Join(errs...))
	}
	if ok, faults := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("openapitest: the document: %w", join(faults))
	}
	types, err := newMediaTypes(doc)
	if err != nil {
		return nil, fmt.Errorf("openapitest: the document: %w", err)
	}
	return &Validator{validate: v, mediaTypes: types}, nil
}

// Check tells how the response to the request differs from the document:
// status, media type, body. A request that the document does not know must
// have been answered with an Error. The response's body can still be read.
func (v *Validator) Check(req *http.Request, res *http.Response) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("openapitest: reading the response: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return fmt.Errorf("openapitest: reading the response: %w", err)
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
		// The validator would take pages for JSON, and a user's file that is JSON for
		// an answer.
		return nil
	}
	if req.URL.Path == "/openapi.json" && res.StatusCode == http.StatusOK {
		// The document does not describe itself.
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	// The validator would clean the path, which the server does not.
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

// isError checks the body of a response that belongs to no operation as if it
// were one of /readyz, which answers 503 with an Error.
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

// Transport is a RoundTripper that checks every response and fails the request
// whose response does not conform.
type Transport struct {
	Validator *Validator
	// Base sends the requests; nil means http.DefaultTransport.
	Base http.RoundTripper
}

var _ http.RoundTripper = (*Transport)(nil)

// CloseIdleConnections closes those that Base keeps, if it keeps any.
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
	// A stream is to be read as it comes.
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return res, t.Validator.mediaTypes.check(req, res)
	}
	if err := t.Validator.Check(req, res); err != nil {
		return nil, err
	}
	return res, nil
}
