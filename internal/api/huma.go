package api

import (
	"errors"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// init sets huma's hooks for errors and schemas. The hooks are package variables of huma.
// The hooks have no state, so all Handlers in a process can share the hooks.
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
	// huma calls NewError only to find the type of error responses.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return newProblem(&request{}, humaError(status, msg, errs))
	}
	// Lists in the API are never null (docs/api.md).
	huma.DefaultArrayNullable = false
	// Names of fields are case-sensitive. For example, the server rejects {"CODE": …},
	// because the field is unknown.
	huma.ValidateStrictCasing = true
	setMessages()
}

// humaError converts an error of huma to an error for the caller. huma checks only
// parameters in the path and in the query. The new error does not contain the values of
// these parameters.
func humaError(status int, msg string, errs []error) error {
	if status >= http.StatusInternalServerError {
		return errors.Join(append([]error{errors.New(msg)}, errs...)...)
	}
	if err := fieldErrors(errs).Err(); err != nil {
		return err
	}
	return &pyth.Error{Code: pyth.CodeInvalid, Message: "The request is not valid. Compare it with the API reference at /docs."}
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

// newRegistry returns a registry of schemas. Some types are in packages that do not
// import huma. For each of these types, newRegistry uses the schema of a type in this
// package.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	r.RegisterTypeAlias(reflect.TypeFor[pyth.Code](), reflect.TypeFor[ErrorCode]())
	r.RegisterTypeAlias(reflect.TypeFor[body.Sensitive](), reflect.TypeFor[secretText]())
	return r
}

// secretText defines the schema of a secret text in a request.
type secretText string

func (secretText) Schema(huma.Registry) *huma.Schema {
	least := 1
	s := &huma.Schema{Type: huma.TypeString, Format: "password", MinLength: &least}
	s.PrecomputeMessages()
	return s
}

// registration is the huma.API of one operation. huma documents and parses parameters,
// and it documents and writes responses. This package does all other work before it
// calls huma.
type registration struct {
	huma.API

	handler *Handler
	op      *operation
}

var (
	_ huma.Adapter             = registration{}
	_ huma.OperationDocumenter = registration{}
)

// Adapter returns r itself. So huma calls the Handle method of r.
func (r registration) Adapter() huma.Adapter { return r }

// DocumentOperation adds the operation to the OpenAPI document.
func (r registration) DocumentOperation(doc *huma.Operation) {
	r.op.document(r.OpenAPI().Components.Schemas, doc)
	if r.handler.isIdempotent(r.op) {
		documentIdempotency(doc)
	}
	r.OpenAPI().AddOperation(doc)
}

// Handle adds the operation to the mux. The parameter "next" is huma's handler for
// the operation.
func (r registration) Handle(doc *huma.Operation, next func(huma.Context)) {
	r.handler.mux.HandleFunc(doc.Method+" "+muxPattern(doc.Path), func(w http.ResponseWriter, req *http.Request) {
		r.handler.serve(w, req, r.op, func(w http.ResponseWriter, req *http.Request) {
			next(humago.NewContext(doc, req, w))
		})
	})
}

func (r registration) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.handler.ServeHTTP(w, req)
}

// Negotiate always selects JSON, even if the caller does not accept JSON. A response in
// JSON is more useful to the caller than status 406.
func (registration) Negotiate(string) (string, error) { return applicationJSON, nil }

func (registration) Marshal(w io.Writer, _ string, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	// Ignore errors, because the client may have disconnected.
	_, _ = w.Write(data)
	return nil
}
