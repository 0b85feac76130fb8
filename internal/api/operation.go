package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// operation is a huma.Operation with additional settings.
type operation struct {
	huma.Operation
	// The field "example" contains an example of the request body. The field "answer"
	// contains an example of the response body. Both fields are for the documentation.
	example, answer any
	bodyOptional    bool
	// maxBytes is the maximum size of the request body in bytes. Zero means
	// body.SmallBytes.
	maxBytes int64
	// scope is the scope that an API key needs for the operation. An empty scope means
	// that the operation needs no scope. In this case, "public" or "optionalCredentials"
	// is true.
	scope pyth.Scope
	// nullable is the location of an object in the body whose fields may be null.
	nullable string
	// anyQuery is true if the operation ignores unknown query parameters.
	anyQuery bool
	// admin is true if only administrators may call the operation.
	admin bool
	// The field "public" is true if the operation needs no credentials.
	public bool
	// optionalCredentials is true if the operation also accepts requests without
	// credentials in the headers. In this case, the handler of the operation
	// authenticates the caller.
	optionalCredentials bool
	// timeout is the time-out of the handler. Zero means Config.HandlerTimeout.
	timeout time.Duration
	// action is the name of the operation in the audit log. It is "" if the log does not
	// record the operation.
	action pyth.Action

	// The functions "register" and "document" set the following fields.

	// The field "body" reads the JSON body of a request. newBody returns a pointer for
	// the decoded body. The field "schema" is the schema of the body. All three fields
	// are nil if requests have no body.
	body    *body.Reader
	newBody func() any
	schema  *huma.Schema
	// query maps the names of query parameters to their allowed values. An empty list
	// means that all values are allowed.
	query map[string][]string
}

// jsonBody holds the decoded JSON body of a request. The input type of an operation
// embeds jsonBody. huma ignores this embedded field, because the field is not exported.
type jsonBody[T any] struct {
	// Value is the decoded body. If the request has no body, all fields of Value are
	// zero.
	Value *T
}

// bodyInput is the interface of all input types that embed a jsonBody.
type bodyInput interface {
	newBody() any
	setBody(v any)
}

func (*jsonBody[T]) newBody() any { return new(T) }

func (b *jsonBody[T]) setBody(v any) { b.Value = v.(*T) }

// register adds an operation to the document and to the mux. The handler of the operation
// applies the documented authentication and the documented limits.
func register[I, O any](h *Handler, op operation, handle func(context.Context, *I) (*O, error)) {
	if op.timeout == 0 {
		op.timeout = h.cfg.HandlerTimeout
	}
	switch {
	case op.public:
		// In the OpenAPI document, an empty list means that no credentials are needed.
		op.Security = []map[string][]string{}
	case op.optionalCredentials:
	default:
		if op.scope == "" {
			h.faults = append(h.faults, fmt.Errorf("api: the operation %s has no scope", op.OperationID))
		}
		op.Security = credentialsRequired()
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
		op.Extensions = map[string]any{scopeExtension: string(op.scope)}
		op.Description += " An API key needs the scope " + string(op.scope) + "."
	}
	if h.isIdempotent(&op) {
		op.Errors = append(op.Errors, http.StatusConflict)
	}
	input, hasBody := any(new(I)).(bodyInput)
	if hasBody {
		op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		if op.maxBytes == 0 {
			op.maxBytes = body.SmallBytes
		}
		registry := h.api.OpenAPI().Components.Schemas
		op.newBody = input.newBody
		op.schema = registry.Schema(reflect.TypeOf(input.newBody()), true, "")
		op.body = &body.Reader{Schema: &bodySchema{registry, op.schema}, Required: !op.bodyOptional, MaxBytes: op.maxBytes, Nullable: op.nullable}
	}
	op.Errors = append(op.Errors, http.StatusBadRequest)
	if op.Responses["503"] == nil {
		op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	}
	huma.Register(registration{API: h.api, handler: h, op: &op}, op.Operation, func(ctx context.Context, in *I) (*O, error) {
		if hasBody {
			any(in).(bodyInput).setBody(requestOf(ctx).body)
		}
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		if answer, ok := errors.AsType[huma.StatusError](err); ok {
			return nil, answer
		}
		return nil, newProblem(requestOf(ctx), err)
	})
}

// serve limits the time of a request, authenticates the caller and reads the body. Then
// it calls the parameter "next", which is huma's handler. huma must not read the body,
// for two reasons. Its errors contain values from the body, and its buffer pool would
// keep passwords in memory.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, op *operation, next http.HandlerFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), op.timeout)
	defer cancel()
	r = r.WithContext(ctx)
	if err := h.admit(r, op); err != nil {
		h.writeError(w, r, err)
		return
	}
	once, err := h.idempotency(r, op)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	if op.body != nil {
		req := requestOf(ctx)
		memory := h.bodies.Reserve(req.caller())
		// Release the memory only at the end of the request, because a program in the
		// queue still needs its body.
		defer memory.Release()
		req.body = op.newBody()
		if err := op.body.Read(w, r, memory, req.body); err != nil {
			h.writeError(w, r, err)
			return
		}
	}
	if once != nil {
		h.serveOnce(w, r, op, once, next)
		return
	}
	next(w, r)
}

// admit authenticates the caller, applies the rate limit and checks the query. The server
// calls it before it reads the body.
func (h *Handler) admit(r *http.Request, op *operation) error {
	requestOf(r.Context()).action = op.action
	if !op.public && !op.optionalCredentials {
		if err := h.identify(r.Context()); err != nil {
			return err
		}
		if err := h.requireScope(r.Context(), op.scope); err != nil {
			return err
		}
		if err := h.requireConfirmed(r.Context(), op.scope); err != nil {
			return err
		}
		if op.admin {
			if err := h.requireAdmin(r.Context()); err != nil {
				return err
			}
		}
	}
	if err := h.limitRate(r.Context(), op.OperationID); err != nil {
		return err
	}
	if r.URL.RawQuery == "" || op.anyQuery {
		return nil
	}
	return queryFaults(r.URL.RawQuery, op.query)
}

// document completes the documentation that huma generated from the Go types.
func (op *operation) document(registry huma.Registry, doc *huma.Operation) {
	op.query = queryEnums(registry, doc)
	// Delete the status 422: huma documents it for invalid input, but this API responds
	// with status 400.
	delete(doc.Responses, "422")
	if op.body != nil {
		doc.RequestBody = &huma.RequestBody{
			Required: !op.bodyOptional,
			Content:  map[string]*huma.MediaType{applicationJSON: {Schema: op.schema, Example: op.example}},
		}
	}
	for status, r := range doc.Responses {
		if r.Headers == nil {
			r.Headers = map[string]*huma.Param{}
		}
		for _, h := range r.Headers {
			// Move the description to the header, because huma describes only the schema
			// of the header.
			if h.Schema != nil && h.Description == "" {
				h.Description, h.Schema.Description = h.Schema.Description, ""
			}
		}
		r.Headers[requestIDHeader] = stringHeader("The ID of the request in the log of the server.")
		switch status {
		case "401":
			r.Headers["WWW-Authenticate"] = stringHeader("How to authenticate (RFC 6750).")
		case "429":
			r.Headers["RateLimit"] = stringHeader("The remaining requests of each quota (draft-ietf-httpapi-ratelimit-headers).")
			r.Headers["RateLimit-Policy"] = stringHeader("The quotas that apply to the request.")
			r.Headers["Retry-After"] = stringHeader("The number of seconds to wait before the next attempt.")
		case "503":
			r.Headers["Retry-After"] = stringHeader("The number of seconds to wait before the next attempt.")
		}
		if content := r.Content[applicationJSON]; content != nil && content.Example == nil && strings.HasPrefix(status, "2") {
			content.Example = op.answer
		}
	}
}

func stringHeader(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

// Names of the security schemes in the OpenAPI document.
const (
	schemeAPIKey = "apiKey"
	schemeBearer = "bearer"
)

func credentialsRequired() []map[string][]string {
	return []map[string][]string{{schemeAPIKey: {}}, {schemeBearer: {}}}
}

// filePath is the path parameter for the path of a file.
const filePath = "{path}"

// packageName is the path parameter for the name of a package. The name can contain a
// slash after an npm scope, for example @types/node.
const packageName = "{package}"

// muxPattern converts an OpenAPI path to a pattern of http.ServeMux. Paths of files and
// names of packages may contain slashes. A pattern can express this, but OpenAPI cannot.
func muxPattern(pattern string) string {
	if before, ok := strings.CutSuffix(pattern, "/"+filePath); ok {
		return before + "/{path...}"
	}
	if before, ok := strings.CutSuffix(pattern, "/"+packageName); ok {
		return before + "/{package...}"
	}
	return pattern
}
