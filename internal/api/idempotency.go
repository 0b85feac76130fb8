package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

const idempotencyHeader = "Idempotency-Key"

// maxIdempotencyKey is the maximum length of an idempotency key.
const maxIdempotencyKey = 255

// endTimeout is the time-out for storing the response of a request.
const endTimeout = 10 * time.Second

// isIdempotent reports whether a request for the operation may contain an idempotency
// key.
func (h *Handler) isIdempotent(op *operation) bool {
	return h.cfg.Idempotency != nil && op.Method == http.MethodPost && !op.public && !op.optionalCredentials
}

// idempotent describes one request that has an idempotency key.
type idempotent struct {
	user pyth.UserID
	key  string
	sum  hash.Hash
}

// idempotency returns nil if the request has no idempotency key, or if the operation
// ignores the key.
func (h *Handler) idempotency(r *http.Request, op *operation) (*idempotent, error) {
	keys := r.Header.Values(idempotencyHeader)
	if len(keys) == 0 || !h.isIdempotent(op) {
		return nil, nil
	}
	if len(keys) > 1 || !validIdempotencyKey(keys[0]) {
		return nil, &pyth.Error{
			Code: pyth.CodeInvalid, Message: "The header Idempotency-Key must have 1 to 255 printable ASCII characters, for example a UUID.",
		}
	}
	sum := sha256.New()
	_, _ = io.WriteString(sum, r.Method+" "+r.URL.RequestURI()+"\x00"+r.Header.Get("Prefer")+"\x00")
	x := &idempotent{user: requestOf(r.Context()).principal.User.ID, key: keys[0], sum: sum}
	if r.Body != nil {
		r.Body = &hashedBody{r.Body, io.TeeReader(r.Body, sum)}
	}
	return x, nil
}

func validIdempotencyKey(key string) bool {
	if key == "" || len(key) > maxIdempotencyKey {
		return false
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// hashedBody is the body of a request. Each read also adds the bytes that were read to a
// hash.
type hashedBody struct {
	io.Closer

	hashed io.Reader
}

func (b *hashedBody) Read(p []byte) (int, error) { return b.hashed.Read(p) }

// checkKeepable returns an error if the server must not store the response to the
// request, for example because the response is a stream.
func (h *Handler) checkKeepable(r *http.Request, op *operation) error {
	refuse := func(why string) error {
		return &pyth.Error{Code: pyth.CodeInvalid, Message: "This request cannot have the header Idempotency-Key, because " + why}
	}
	switch op.OperationID {
	case "runProgramAsStream":
		return refuse("the server does not store streams. Use the header Prefer: respond-async, and follow the run with GET /api/v1/executions/{id}/events.")
	case "runEncryptedProgram":
		return refuse("the server never stores the output of encrypted programs.")
	}
	async := op.OperationID == opRun && h.cfg.Queue != nil && prefersAsync(r.Header)
	if acceptsEvents(r.Context()) && !async {
		return refuse("the server does not store streams. Send Accept: application/json.")
	}
	if request, ok := requestOf(r.Context()).body.(*ExecuteRequest); ok && !async && (h.cfg.DiscardsOutput || request.Store != nil && !*request.Store) {
		return refuse("the server does not store the output of this run. Use the header Prefer: respond-async.")
	}
	return nil
}

// serveOnce executes the request with the function "next". If the server has already
// executed a request with the same key, serveOnce sends the stored response instead.
func (h *Handler) serveOnce(w http.ResponseWriter, r *http.Request, op *operation, x *idempotent, next http.HandlerFunc) {
	if err := h.checkKeepable(r, op); err != nil {
		h.writeError(w, r, err)
		return
	}
	ctx := r.Context()
	stored, err := h.cfg.Idempotency.BeginRequest(ctx, x.user, x.key, [32]byte(x.sum.Sum(nil)))
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	if stored != nil {
		header := w.Header()
		for name, values := range stored.Header {
			header[name] = values
		}
		header.Set("Idempotent-Replayed", "true")
		w.WriteHeader(stored.Status)
		// Ignore errors, because the client may have disconnected.
		_, _ = w.Write(stored.Body)
		return
	}
	req := requestOf(ctx)
	answer := &answerRecorder{ResponseWriter: w, status: http.StatusOK}
	finished := false
	defer func() {
		req.w = w
		// After a panic, the outcome of the request is unknown. So the server stores no
		// response.
		if finished {
			h.endRequest(ctx, x, answer)
		}
	}()
	req.w = answer
	next(answer, r)
	finished = true
}

// endRequest stores the response. It uses a new context, because the context of the
// request ends when the client disconnects.
func (h *Handler) endRequest(ctx context.Context, x *idempotent, answer *answerRecorder) {
	stored := answer.stored()
	if answer.status >= http.StatusBadRequest && !hasEffect(answer.status, requestOf(ctx).err) {
		stored = nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := h.cfg.Idempotency.EndRequest(ctx, x.user, x.key, stored); err != nil {
		h.log.ErrorContext(ctx, "could not store the answer for an idempotency key", "error", err)
	}
}

// hasEffect reports whether a failed request may have had an effect. The server must not
// execute such a request again.
func hasEffect(status int, err error) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return errors.Is(err, pyth.ErrCarriedOut)
}

// answerRecorder forwards a response to the client and keeps a copy of the response.
type answerRecorder struct {
	http.ResponseWriter

	status int
	begun  bool
	body   bytes.Buffer
	large  bool
}

// maxRecorded is the maximum size of the copy of a response. The idempotency service has
// a smaller limit.
const maxRecorded = 8 << 20

func (a *answerRecorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answerRecorder) WriteHeader(status int) {
	if !a.begun && status >= http.StatusOK {
		a.begun, a.status = true, status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerRecorder) Write(b []byte) (int, error) {
	a.begun = true
	if a.large = a.large || a.body.Len()+len(b) > maxRecorded; !a.large {
		a.body.Write(b)
	}
	// Ignore the error, because the client may have disconnected. If the client repeats
	// the request, it receives the whole response.
	_, err := a.ResponseWriter.Write(b)
	return len(b), err
}

// The method "stored" returns the copy of the response. The copy contains only the
// headers that describe the content.
func (a *answerRecorder) stored() *pyth.StoredAnswer {
	header := http.Header{}
	for _, name := range []string{"Content-Type", "Location", "Preference-Applied", "Retry-After"} {
		if values := a.Header().Values(name); len(values) > 0 {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if a.large {
		return &pyth.StoredAnswer{TooLarge: true}
	}
	return &pyth.StoredAnswer{Status: a.status, Header: header, Body: bytes.Clone(a.body.Bytes())}
}

// documentIdempotency adds the header Idempotency-Key to the operation in the OpenAPI
// document.
func documentIdempotency(doc *huma.Operation) {
	least, most := 1, maxIdempotencyKey
	doc.Parameters = append(doc.Parameters, &huma.Param{
		Name: idempotencyHeader, In: "header",
		Description: "A random key, for example a UUID. If the client sends the request again with the same key within 24 hours, the server sends the same answer, and does not execute the request again.",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &least, MaxLength: &most},
		Example:     "8e03978e-40d5-43dd-bc93-6894a57f9324",
	})
}
