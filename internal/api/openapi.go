package api

import (
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pyth-on/pyth-on/internal/api/problem"
)

const (
	apiName = "Pyth-On API"
	// apiVersion is the version of the API (semantic versioning). It changes when the
	// OpenAPI document changes, independently of the version of the server.
	apiVersion = "1.0.0"

	openAPIPath = "/openapi"
	docsPath    = "/docs"

	schemaPrefix = "#/components/schemas/"
)

// newOpenAPI returns an OpenAPI document without operations.
func newOpenAPI() *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   apiName,
			Version: apiVersion,
			Description: "Runs untrusted programs in sandboxes. Errors are problem details (RFC 9457) with a stable code. " +
				"The server rejects unknown fields, duplicate keys and nulls in requests. New versions may add fields to responses.",
			License: &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"},
			Contact: &huma.Contact{Name: "Pyth-On", URL: "https://github.com/pyth-on/pyth-on"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server."}},
		Tags: []*huma.Tag{
			{Name: tagAuth, Description: "Accounts, tokens and passwords."},
			{Name: tagSecrets, Description: "Secrets that programs receive as environment variables. The server stores secrets encrypted and never returns their values."},
			{Name: tagKeys, Description: "API keys of the account."},
			{Name: tagExecute, Description: "Runs of programs, and their records."},
			{Name: tagSessions, Description: "Interpreters that keep their state and files between runs."},
			{Name: tagProcesses, Description: "Processes and terminals that run in sessions, beside the interpreter."},
			{Name: tagPorts, Description: "Servers that programs start in sessions."},
			{Name: "Generate", Description: "Programs that a model writes."},
			{Name: tagZK, Description: "Encrypted programs. They are decrypted only inside a sandbox."},
			{Name: tagPackages, Description: "Python and JavaScript packages for your runs."},
			{Name: tagWebhooks, Description: "Webhooks are URLs to which the server sends events of runs. The server lists the deliveries to each webhook."},
			{Name: tagUsage, Description: "The usage and the quotas of the account."},
			{Name: tagAudit, Description: "The audit log of the account, and proofs that an entry is in the log."},
			{Name: tagAdmin, Description: "Users, invites and runs of all users. Only administrators may use these operations."},
			{Name: tagSystem, Description: "The state and the features of the server."},
		},
		Components: &huma.Components{
			Schemas: newRegistry(),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				schemeAPIKey: {Type: "apiKey", In: "header", Name: "x-api-key", Description: "An API key from registerAccount, logIn or createApiKey."},
				schemeBearer: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A token from registerAccount, logIn or refreshToken, or an API key."},
			},
		},
	}
}

// serveDocuments adds the routes of the OpenAPI document and of the reference pages. The
// documents do not change while the server runs, so the server renders each document only
// once.
func (h *Handler) serveDocuments() {
	api := h.api.OpenAPI()
	published := sync.OnceValue(func() *huma.OpenAPI { return publish(api) })
	h.serveStatic(openAPIPath+".json", applicationJSON, func() ([]byte, error) {
		document, err := json.Marshal(published(), json.Deterministic(true))
		if err == nil {
			err = (*jsontext.Value)(&document).Indent(jsontext.WithIndent("  "))
		}
		return append(document, '\n'), err
	})
	h.serveStatic(openAPIPath+".yaml", "application/yaml", func() ([]byte, error) { return published().YAML() })
	h.serveStatic(docsPath, "text/html; charset=utf-8", func() ([]byte, error) { return referencePage(api) })
	h.serveStatic(problem.Path, "text/html; charset=utf-8", func() ([]byte, error) { return errorsPage(api.Info.Version) })
	h.servePages()
}

// serveStatic adds a route that serves a document. It calls the function "document" at
// the first request. So the server starts faster.
func (h *Handler) serveStatic(path, mediaType string, document func() ([]byte, error)) {
	once := sync.OnceValues(document)
	h.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		err := queryFaults(r.URL.RawQuery, nil)
		var content []byte
		if err == nil {
			content, err = once()
		}
		if err != nil {
			h.writeError(w, r, err)
			return
		}
		writeDocument(w, mediaType, content)
	})
}

func componentName(ref string) string {
	return strings.TrimPrefix(ref, schemaPrefix)
}
