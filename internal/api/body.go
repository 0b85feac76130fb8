package api

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

const (
	// smallBody is the maximum size of bodies without a program.
	smallBody = 64 << 10
	// maxDepth is the maximum nesting of a body. The deepest valid body has
	// four levels.
	maxDepth = 16
	// maxValues is the maximum number of values in a body: a value of two bytes
	// takes a hundred in memory. The largest program has some hundreds of
	// values.
	maxValues = 10_000
)

// read decodes the body of the request into v. It leaves v alone if there is no
// body and none is required.
func (s *bodySpec) read(w http.ResponseWriter, r *http.Request, v any) error {
	if err := checkMediaType(r.Header, r.ContentLength > 0); err != nil {
		return err
	}
	req := requestOf(r.Context())
	req.body = &bodyReservation{budget: s.bodies, caller: req.caller()}
	data, err := readBody(w, r, s.maxBytes, req.body)
	switch {
	case err != nil:
		return err
	case len(data) == 0 && s.required:
		return pyth.Invalid("body", "is required")
	case len(data) == 0:
		return nil
	}
	// The length of a chunked body is known only now.
	if err := checkMediaType(r.Header, true); err != nil {
		return err
	}
	return s.decode(data, v)
}

// checkMediaType accepts JSON in UTF-8 without a content encoding. The server
// never decompresses a body, so that a small one cannot become a large one.
func checkMediaType(h http.Header, hasBody bool) error {
	if err := checkCoding(h); err != nil {
		return err
	}
	switch types := h.Values("Content-Type"); {
	case len(types) > 1:
		return unsupported("The request has several Content-Type headers. Send one.")
	case len(types) == 0 || types[0] == "":
		if hasBody {
			return unsupported("The request has no Content-Type. Send Content-Type: application/json.")
		}
		return nil
	case types[0] == "application/json":
		return nil
	default:
		if isForm(types[0]) {
			return unsupported("The body must be JSON, not a form. Send Content-Type: application/json. With curl use -H 'Content-Type: application/json' -d '{…}'.")
		}
		mediaType, params, err := mime.ParseMediaType(types[0])
		if err != nil || mediaType != "application/json" {
			return unsupported("The Content-Type is not JSON. Send Content-Type: application/json.")
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return unsupported("The charset is not UTF-8. Send the body in UTF-8.")
		}
		return nil
	}
}

func checkCoding(h http.Header) error {
	for _, coding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return unsupported("The body has a Content-Encoding, which this server does not decode. Send it without one.")
		}
	}
	return nil
}

// checkWhole refuses a body that is not the whole content of a file: a range
// (RFC 9110, section 14.5), or a form, which would be stored as part of the
// file.
func checkWhole(h http.Header) error {
	if len(h.Values("Content-Range")) > 0 {
		return pyth.Invalid("header.Content-Range", "is not supported: send the whole file")
	}
	for _, value := range h.Values("Content-Type") {
		// curl --data-binary sends this Content-Type for all files.
		if isForm(value) && !strings.Contains(strings.ToLower(value), "urlencoded") {
			return unsupported("The body must be the bytes of the file, not a form. With curl use -T FILE in place of -F.")
		}
	}
	return nil
}

// isForm returns whether the media type is that of an HTML form.
func isForm(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "multipart/") || kind == "application/x-www-form-urlencoded"
}

func unsupported(message string) error {
	return &pyth.Error{Code: pyth.CodeUnsupportedMedia, Message: message}
}

// readBody reads the whole body, so that net/http detects when the caller goes
// away. It reserves memory as bytes arrive and not by Content-Length, so that
// slow senders hold little.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, memory *bodyReservation) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	// One byte more, so that the last read returns io.EOF without growing.
	most := limit + 1
	if r.ContentLength >= 0 {
		most = r.ContentLength + 1
	}
	first := most
	if r.ContentLength < 0 || most > smallBody {
		first = 4 << 10
	}
	data := make([]byte, 0, first)
	for {
		if len(data) == cap(data) {
			size := min(2*int64(cap(data)), most)
			if err := memory.grow(size); err != nil {
				return nil, err
			}
			grown := append(make([]byte, 0, size), data...)
			// The old buffer may hold a password.
			clear(data)
			data = grown
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			// The deadline is for the body; a run may take longer. A writer
			// without deadlines, as in a test, returns an error.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			return data, nil
		}
		if err != nil {
			return nil, readError(err, limit)
		}
	}
}

func readError(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return pyth.Invalid("body", "did not arrive in time")
	}
	return pyth.Invalid("body", "could not be read to its end")
}

func tooLarge(limit int64) error {
	return pyth.Errorf(pyth.CodeTooLarge, "The body of the request is too large: it may have at most %s bytes. Send less; /api lists the limits.", pyth.Digits(limit))
}

// decode checks the body against the schema, so that an error lists all faults,
// and then decodes it into v.
func (s *bodySpec) decode(data []byte, v any) (err error) {
	if c, ok := v.(confidential); ok {
		field, to := c.confidential()
		*to = conceal(data, field)
		defer func() {
			clear(data)
			if err != nil {
				clear(*to)
			}
		}()
	}
	// Check first: decoding costs far more than counting.
	if err := checkShape(data); err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return syntaxError(err)
	}
	result := &huma.ValidateResult{}
	path := huma.NewPathBuffer(nil, 0)
	path.Push("body")
	huma.Validate(s.registry, s.schema, path, huma.ModeWriteToServer, tree, result)
	faults := fieldErrors(result.Errors)
	faults = nulls(faults, "body", tree)
	if len(faults) == 0 {
		err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
		if err == nil {
			return nil
		}
		faults = pyth.FieldErrors{semanticFault(err)}
	}
	slices.SortStableFunc(faults, compareFaults)
	faults = faults[:min(len(faults), problem.MaxFields)]
	s.suggest(faults, tree)
	return faults.Err()
}

// compareFaults orders faults by location, unknown fields first: a misspelled name
// is the reason why the field that it stands for is missing.
func compareFaults(a, b pyth.FieldError) int {
	switch unknown := a.Message == problem.UnknownField; {
	case unknown == (b.Message == problem.UnknownField):
		return strings.Compare(a.Location, b.Location)
	case unknown:
		return -1
	default:
		return 1
	}
}

// checkShape counts brackets and commas outside of strings. It does not check
// that the text is JSON.
func checkShape(data []byte) error {
	depth, values := 0, 1
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return pyth.Invalid("body", "must not be nested more than %d levels deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			if values++; values > maxValues {
				return pyth.Invalid("body", "must not hold more than %d values", maxValues)
			}
		}
	}
	return nil
}

// nulls adds a fault for each null. No field of the API accepts null; clients
// leave out absent fields.
func nulls(faults pyth.FieldErrors, location string, v any) pyth.FieldErrors {
	switch v := v.(type) {
	case nil:
		reported := slices.ContainsFunc(faults, func(f pyth.FieldError) bool { return f.Location == location })
		if !reported && len(faults) < problem.MaxFields {
			faults.Add(problem.Clip(location), "must not be null; leave it out instead")
			return faults
		}
	case []any:
		for i, e := range v {
			// Build a location only for a value that is null or may contain
			// null.
			if !scalar(e) {
				faults = nulls(faults, location+"["+strconv.Itoa(i)+"]", e)
			}
		}
	case map[string]any:
		for name, e := range v {
			if !scalar(e) {
				faults = nulls(faults, location+"."+name, e)
			}
		}
	}
	return faults
}

func scalar(v any) bool {
	switch v.(type) {
	case string, float64, bool:
		return true
	default:
		return false
	}
}

// syntaxError returns the place where the text is not valid JSON. The message
// has nothing of the text but field names.
func syntaxError(err error) error {
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		f := semanticFault(err)
		return pyth.FieldErrors{f}.Err()
	}
	location := locationOf(e.JSONPointer)
	switch {
	case errors.Is(e, jsontext.ErrDuplicateName):
		return pyth.Invalid(location, "is given more than once")
	case errors.Is(e, io.ErrUnexpectedEOF):
		return pyth.Invalid(location, "is not complete JSON: it ends after byte %d", e.ByteOffset)
	default:
		return pyth.Invalid(location, "is not valid JSON in UTF-8 at byte %d", e.ByteOffset)
	}
}

// semanticFault returns the fault of valid JSON with the wrong type. It does
// not use the message of the decoder, which quotes the value.
func semanticFault(err error) pyth.FieldError {
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return pyth.FieldError{Location: "body", Message: "is not valid JSON"}
	}
	f := pyth.FieldError{Location: locationOf(e.JSONPointer), Message: "has a value of the wrong type"}
	switch {
	case errors.Is(e, json.ErrUnknownName):
		f.Message = problem.UnknownField
	case e.GoType != nil && e.GoType.Kind() == reflect.Int64:
		f.Message = "must be an integer of at most 63 bits, without fraction or exponent"
	case e.JSONKind == '0':
		f.Message = "is a number out of range"
	}
	return f
}

// locationOf converts a JSON pointer (RFC 6901) to a location of the API:
// /files/0/path is body.files[0].path.
func locationOf(p jsontext.Pointer) string {
	var b strings.Builder
	b.WriteString("body")
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
		} else {
			b.WriteString("." + token)
		}
	}
	return problem.Clip(b.String())
}
