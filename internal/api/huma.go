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

// newRegistry returns a registry of schemas. Types of packages that do not know
// huma have the schemas of other types.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	r.RegisterTypeAlias(reflect.TypeFor[pyth.Code](), reflect.TypeFor[ErrorCode]())
	r.RegisterTypeAlias(reflect.TypeFor[body.Sensitive](), reflect.TypeFor[secretText]())
	return r
}

// secretText stands for a text that only a request has.
type secretText string

// Schema returns the schema of a password.
func (secretText) Schema(huma.Registry) *huma.Schema {
	least := 1
	s := &huma.Schema{Type: huma.TypeString, Format: "password", MinLength: &least}
	s.PrecomputeMessages()
	return s
}

// registration is the huma.API of one operation. huma documents parameters and
// responses, parses parameters and writes responses. The rest happens before.
type registration struct {
	huma.API

	handler *Handler
	op      *operation
}

var (
	_ huma.Adapter             = registration{}
	_ huma.OperationDocumenter = registration{}
)

// Adapter returns the registration, which adds the operation to the mux.
func (r registration) Adapter() huma.Adapter { return r }

// DocumentOperation adds the operation to the document.
func (r registration) DocumentOperation(doc *huma.Operation) {
	r.op.document(r.OpenAPI().Components.Schemas, doc)
	r.OpenAPI().AddOperation(doc)
}

// Handle adds the operation to the mux. next is what huma does.
func (r registration) Handle(doc *huma.Operation, next func(huma.Context)) {
	r.handler.mux.HandleFunc(doc.Method+" "+muxPattern(doc.Path), func(w http.ResponseWriter, req *http.Request) {
		r.handler.serve(w, req, r.op, func(w http.ResponseWriter, req *http.Request) {
			next(humago.NewContext(doc, req, w))
		})
	})
}

// ServeHTTP answers a request.
func (r registration) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.handler.ServeHTTP(w, req)
}

// Negotiate always returns JSON, whatever the caller accepts: JSON is more useful
// than a 406.
func (registration) Negotiate(string) (string, error) { return applicationJSON, nil }

// Marshal writes v as JSON.
func (registration) Marshal(w io.Writer, _ string, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	// A failed write means that the caller has gone away.
	_, _ = w.Write(data)
	return nil
}
