package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// init sets the hooks of huma for errors and schemas. huma has them as package
// variables only. They hold no state, so all APIs of a process can share them.
func init() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		e := newProblem(requestOf(ctx.Context()), humaError(status, msg, errs))
		for name, values := range e.GetHeaders() {
			for _, v := range values {
				ctx.AppendHeader(name, v)
			}
		}
		return e
	}
	// huma uses the result only for its type.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return newProblem(&request{}, humaError(status, msg, errs))
	}
	// Lists are never null (docs/api.md).
	huma.DefaultArrayNullable = false
	// {"CODE": …} is an unknown field.
	huma.ValidateStrictCasing = true
	setMessages()
}

// humaError converts an error of huma. huma checks parameters only. The values
// in its messages are dropped.
func humaError(status int, msg string, errs []error) error {
	for _, err := range errs {
		if e, ok := errors.AsType[*problem.Error](err); ok {
			return e
		}
		if e, ok := errors.AsType[*pyth.Error](err); ok {
			return e
		}
	}
	if status >= http.StatusInternalServerError {
		return errors.Join(append([]error{errors.New(msg)}, errs...)...)
	}
	if err := fieldErrors(errs).Err(); err != nil {
		return err
	}
	return &pyth.Error{Code: pyth.CodeInvalid, Message: "The request is not valid. Compare it with /docs."}
}

func fieldErrors(errs []error) pyth.FieldErrors {
	var fields []pyth.FieldError
	for _, err := range errs {
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			fields = append(fields, faultOf(d.Location, d.Message))
		}
	}
	return fields
}

// bodySpec has what an operation needs to read its body.
type bodySpec struct {
	registry huma.Registry
	schema   *huma.Schema
	required bool
	maxBytes int64
	bodies   *bodyBudget
}

// Keys of an operation's metadata.
const (
	bodySpecKey      = "body"
	timeoutKey       = "timeout"
	authenticatedKey = "authenticated"
	actionKey        = "action"
)

// body is an input with a JSON body; embed it. In contrast to the Body of huma,
// it reports where JSON is broken, and limits depth and time.
type body[T any] struct {
	// Value is zero if there is no body.
	Value T
	// r is the request, for operations that read its headers. w is the writer of
	// a stream.
	r *http.Request
	w http.ResponseWriter
}

var _ huma.Resolver = (*body[struct{}])(nil)

// bodyType is implemented by inputs that embed a body.
type bodyType interface{ bodyType() reflect.Type }

func (*body[T]) bodyType() reflect.Type { return reflect.TypeFor[T]() }

// Resolve reads the body.
func (b *body[T]) Resolve(ctx huma.Context) []error {
	spec := ctx.Operation().Metadata[bodySpecKey].(*bodySpec)
	r, w := humago.Unwrap(ctx)
	b.r, b.w = r, w
	if err := spec.read(w, r, &b.Value); err != nil {
		return []error{err}
	}
	return nil
}

// operation is a huma.Operation with settings that huma does not have.
type operation struct {
	huma.Operation
	// example is a request body and answer a response body, for the documentation.
	example, answer any
	// bodyOptional allows the body to be left out.
	bodyOptional bool
	// maxBytes is the largest body; zero means smallBody.
	maxBytes int64
	// public means that the operation needs no credentials.
	public bool
	// optionalCredentials means that the handler authenticates the caller.
	optionalCredentials bool
	// timeout limits the work; zero means Config.HandlerTimeout.
	timeout time.Duration
	// action is the name in the audit log; "" if the log does not record it.
	action pyth.Action
}

// register adds an operation: its documentation, and its handler with the
// documented authentication and limits.
func register[I, O any](h *Handler, op operation, handle func(context.Context, *I) (*O, error)) {
	op.Metadata = map[string]any{}
	if op.timeout > 0 {
		op.Metadata[timeoutKey] = op.timeout
	}
	op.Metadata[actionKey] = op.action
	switch {
	case op.public:
		// An empty list means none.
		op.Security = []map[string][]string{}
	case op.optionalCredentials:
	default:
		op.Metadata[authenticatedKey] = true
		op.Security = credentialsRequired()
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusTooManyRequests)
	}
	var in I
	b, hasBody := any(&in).(bodyType)
	if hasBody {
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusServiceUnavailable)

	huma.Register(h.api, op.Operation, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		if answer, ok := errors.AsType[huma.StatusError](err); ok {
			return nil, answer
		}
		return nil, newProblem(requestOf(ctx), err)
	})

	// huma would read a documented body before Resolve, so the body is documented
	// only now.
	doc := documented(h.api.OpenAPI(), op.Method, op.Path)
	// huma documents 422; here the status of invalid input is 400.
	delete(doc.Responses, "422")
	if hasBody {
		registry := h.api.OpenAPI().Components.Schemas
		schema := registry.Schema(b.bodyType(), true, "")
		doc.RequestBody = &huma.RequestBody{
			Required: !op.bodyOptional,
			Content:  map[string]*huma.MediaType{applicationJSON: {Schema: schema, Example: op.example}},
		}
		maxBytes := op.maxBytes
		if maxBytes == 0 {
			maxBytes = smallBody
		}
		op.Metadata[bodySpecKey] = &bodySpec{registry: registry, schema: schema, required: !op.bodyOptional, maxBytes: maxBytes, bodies: h.bodies}
	}
	documentResponses(doc, op.answer)
}

// documented returns the documentation of an operation.
func documented(api *huma.OpenAPI, method, path string) *huma.Operation {
	item := api.Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	default:
		return item.Delete
	}
}

// documentResponses adds the example to each JSON response that succeeds, and the
// headers to all responses.
func documentResponses(op *huma.Operation, answer any) {
	for status, r := range op.Responses {
		if r.Headers == nil {
			r.Headers = map[string]*huma.Param{}
		}
		r.Headers[requestIDHeader] = stringHeader("The id of the request in the log of the server.")
		switch status {
		case "401":
			r.Headers["WWW-Authenticate"] = stringHeader("How to authenticate (RFC 6750).")
		case "429":
			r.Headers["RateLimit"] = stringHeader("What is left of each quota (draft-ietf-httpapi-ratelimit-headers).")
			r.Headers["RateLimit-Policy"] = stringHeader("The quotas that apply.")
			r.Headers["Retry-After"] = stringHeader("The seconds to wait before the next attempt.")
		case "503":
			r.Headers["Retry-After"] = stringHeader("The seconds to wait before the next attempt.")
		}
		if content := r.Content[applicationJSON]; content != nil && strings.HasPrefix(status, "2") {
			content.Example = answer
		}
	}
}

func stringHeader(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

// Names of the security schemes in the document.
const (
	schemeAPIKey = "apiKey"
	schemeBearer = "bearer"
)

func credentialsRequired() []map[string][]string {
	return []map[string][]string{{schemeAPIKey: {}}, {schemeBearer: {}}}
}
