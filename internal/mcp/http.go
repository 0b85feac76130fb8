package mcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// sessionHeader is the header that groups the requests of one client. Only protocol
// versions before 2026-07-28 use this header.
const sessionHeader = "Mcp-Session-Id"

// requestIDHeader is the header with the ID of a request. The log of the server contains
// this ID. The API sets the header before it calls the Handler.
const requestIDHeader = "X-Request-Id"

// Handler serves the tools over streamable HTTP. It supports the handshake with the
// method initialize, and the protocol without sessions (2026-07-28). It keeps no state
// between requests, so that any server of a cluster can serve any request.
type Handler struct {
	api      http.Handler
	protocol http.Handler

	// The field "running" contains the current tool calls, so that a later request can
	// cancel them.
	mu      sync.Mutex
	running map[callKey]context.CancelFunc
}

// callKey identifies a tool call among the calls of all clients.
type callKey struct {
	// credentials is a hash of the credentials of the client.
	credentials [sha256.Size]byte
	// The fields "session" and "id" come from the client.
	session, id string
}

// NewHandler returns a Handler. The parameter "api" is the handler of the API, which the
// tools call with the credentials of the client. The caller must authenticate requests
// before it calls the Handler, and must limit the size of their bodies. The logger
// receives panics, which are mistakes of this program.
func NewHandler(version string, api http.Handler, logger *slog.Logger) *Handler {
	server := New(version, func(ctx context.Context) (*client.Client, error) {
		return ctx.Value(clientKey{}).(func() (*client.Client, error))()
	}, logger)
	return &Handler{
		api: api, running: map[callKey]context.CancelFunc{},
		protocol: sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server.sdk }, &sdk.StreamableHTTPOptions{
			// Use no sessions, because the protocol version 2026-07-28 has none.
			Stateless: true, PropagateRequestCancellation: true, MaxRequestBodyBytes: MaxMessageBytes,
			// Disable this check of the library, because it would refuse the requests of
			// a reverse proxy on the same machine. The API itself checks the origin of
			// requests.
			DisableLocalhostProtection: true,
		}),
	}
}

// maxBatch is the maximum number of messages in one request. Only versions before
// 2025-06-18 have batches, and clients do not use them. The rate limit of the API counts
// requests, so without a maximum, one request could ask for thousands of lists of tools.
const maxBatch = 20

// isLongBatch reports whether the body is a batch with too many messages.
func isLongBatch(body []byte) bool {
	messages := json.NewDecoder(bytes.NewReader(body))
	if first, err := messages.Token(); err != nil || first != json.Delim('[') {
		return false
	}
	for range maxBatch {
		// Ignore the error, because the library reports invalid messages.
		if messages.Decode(new(json.RawMessage)) != nil {
			return false
		}
	}
	return messages.More()
}

// clientKey is the key of a function in the context of a request. The function returns
// the client for the API.
type clientKey struct{}

// message contains the fields of a message that the Handler needs.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
	} `json:"params"`
}

// ServeHTTP serves one message of a client.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "The body could not be read.", http.StatusBadRequest)
		return
	}
	if isLongBatch(body) {
		http.Error(w, fmt.Sprintf("A batch can have at most %d messages", maxBatch), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	// Ignore the error, because the library reports invalid messages. A batch of messages
	// is not an object, so m stays empty. The calls of a batch end only when the
	// connection ends.
	var m message
	_ = json.Unmarshal(body, &m)
	key := callKey{credentials: credentials(r.Header), session: r.Header.Get(sessionHeader), id: string(m.ID)}
	switch m.Method {
	case "initialize":
		// The ID is not a secret and gives no access. A client needs this ID to cancel
		// its calls, because two clients can use the same number for a call.
		w.Header().Set(sessionHeader, rand.Text())
	case "notifications/cancelled":
		key.id = string(m.Params.RequestID)
		h.cancel(key)
	}
	// The context of the request ends when the client disconnects. Then the call ends
	// too.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer h.register(key, cancel)()
	origin := originOf(r)
	if id := w.Header().Get(requestIDHeader); id != "" {
		// In the log, all requests to the API for this message have the ID of the
		// message.
		origin.Header.Set(requestIDHeader, id)
	}
	transport := NewHandlerTransport(ctx, h.api, origin)
	// A call must not outlive its request, because a stopping server waits only for
	// requests.
	defer transport.Wait()
	defer cancel()
	newClient := func() (*client.Client, error) {
		return client.New(internalServer, client.WithHTTPClient(&http.Client{Transport: transport}),
			client.WithUserAgent(r.UserAgent()), client.WithRetries(0))
	}
	h.protocol.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, newClient)))
}

// internalServer is the address of the API for the client library. No request leaves
// this process.
const internalServer = "http://api.internal"

// originOf returns the origin of a request. With this origin, the API sees the caller of
// the request.
func originOf(r *http.Request) Origin {
	header := http.Header{}
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Forwarded-For", "X-Forwarded-Proto", "Traceparent", "Tracestate"} {
		if values := r.Header[name]; len(values) > 0 {
			header[name] = values
		}
	}
	return Origin{Header: header, RemoteAddr: r.RemoteAddr}
}

// credentials returns a hash of the credentials in the headers. The hash stays in memory
// while a call is running.
func credentials(header http.Header) [sha256.Size]byte {
	return sha256.Sum256([]byte(header.Get("Authorization") + "\x00" + header.Get("X-Api-Key")))
}

// register stores how to cancel a call. The function "remove" removes the call. Without a
// session ID, the ID of a call is not unique, so the call is not stored.
func (h *Handler) register(key callKey, cancel context.CancelFunc) (remove func()) {
	if key.session == "" || key.id == "" {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[key] != nil {
		return func() {} // The ID is in use. The client can cancel only the first call.
	}
	h.running[key] = cancel
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, key)
	}
}

// cancel cancels a call if it is running on this server.
func (h *Handler) cancel(key callKey) {
	h.mu.Lock()
	cancel := h.running[key]
	h.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
