package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	pyth "github.com/pyth-on/pyth-on"
)

// init sets the hooks by which huma is told how errors and schemas look. huma
// has them only as package variables; they hold no state, so setting them once
// for every API in the process is safe.
func init() {
	table := newProblems()
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		e := table.of(requestOf(ctx.Context()), humaError(status, msg, errs))
		for name, values := range e.headers {
			for _, v := range values {
				ctx.AppendHeader(name, v)
			}
		}
		return e
	}
	// huma asks for one only to learn the type.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return table.of(&request{}, humaError(status, msg, errs))
	}
	// Lists are never null (docs/api.md).
	huma.DefaultArrayNullable = false
	// {"CODE": …} is an unknown field, not another way to write code.
	huma.ValidateStrictCasing = true
	setMessages()
}

// humaError is what huma found wrong in our terms. Parameters are the only
// thing that it still judges by itself; the values that it would echo are
// dropped.
func humaError(status int, msg string, errs []error) error {
	for _, err := range errs {
		if e, ok := errors.AsType[*Error](err); ok {
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
	return &pyth.Error{Code: pyth.CodeInvalid, Message: "The request is not valid."}
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

// bodySpec is how an operation reads its body.
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

// body is the field by which an input takes a JSON body; embed it. Unlike
// huma's own Body it says where JSON is broken and limits depth and time.
type body[T any] struct {
	// Value is zero when an optional body was left out.
	Value T
	// r is the request, for operations that look at its headers, and w where a
	// stream is written to.
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

// operation is a huma.Operation and what huma has no place for.
type operation struct {
	huma.Operation
	// example and answer are shown in the documentation.
	example, answer any
	// bodyOptional allows the body to be left out.
	bodyOptional bool
	// maxBytes bounds the body; zero means smallBody.
	maxBytes int64
	// public needs no credentials.
	public bool
	// optionalCredentials leaves it to the handler to authenticate.
	optionalCredentials bool
	// timeout bounds the work; zero means Config.HandlerTimeout.
	timeout time.Duration
	// action is what the audit log calls it; "" for what it does not tell of.
	action pyth.Action
}

// register adds an operation: its documentation, and the handler behind the
// authentication and the limits that the documentation speaks of.
func register[I, O any](h *Handler, op operation, handle func(context.Context, *I) (*O, error)) {
	op.Metadata = map[string]any{}
	if op.timeout > 0 {
		op.Metadata[timeoutKey] = op.timeout
	}
	op.Metadata[actionKey] = op.action
	switch {
	case op.public:
		// An empty list says "none"; a missing one would inherit.
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
		return nil, h.problems.of(requestOf(ctx), err)
	})

	// huma would read a body that it knows of before Resolve can, so it is
	// told only now.
	doc := documented(h.api.OpenAPI(), op.Method, op.Path)
	// huma assumes that it answers 422; here faulty input is 400.
	delete(doc.Responses, "422")
	if hasBody {
		registry := h.api.OpenAPI().Components.Schemas
		schema := registry.Schema(b.bodyType(), true, "")
		doc.RequestBody = &huma.RequestBody{
			Required: !op.bodyOptional,
			Content:  map[string]*huma.MediaType{"application/json": {Schema: schema, Example: op.example}},
		}
		maxBytes := op.maxBytes
		if maxBytes == 0 {
			maxBytes = smallBody
		}
		op.Metadata[bodySpecKey] = &bodySpec{registry: registry, schema: schema, required: !op.bodyOptional, maxBytes: maxBytes, bodies: h.bodies}
	}
	documentResponses(doc, op.answer)
}

// documented is the operation as the document has it.
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

// documentResponses adds the headers that every response has, and the example.
func documentResponses(op *huma.Operation, answer any) {
	for status, r := range op.Responses {
		if r.Headers == nil {
			r.Headers = map[string]*huma.Param{}
		}
		r.Headers[requestIDHeader] = stringHeader("Identifies the request in the server's log.")
		switch status {
		case "401":
			r.Headers["WWW-Authenticate"] = stringHeader("How to authenticate (RFC 6750).")
		case "429":
			r.Headers["RateLimit"] = stringHeader("What is left of each quota.")
			r.Headers["RateLimit-Policy"] = stringHeader("The quotas that apply.")
			r.Headers["Retry-After"] = stringHeader("Seconds to wait before the next attempt.")
		case "503":
			r.Headers["Retry-After"] = stringHeader("Seconds to wait before the next attempt.")
		}
	}
	if answer == nil {
		return
	}
	if r := op.Responses[strconv.Itoa(op.DefaultStatus)]; r != nil && r.Content["application/json"] != nil {
		r.Content["application/json"].Example = answer
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
