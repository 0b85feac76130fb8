package api

import (
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	apiName     = "Pyth-On API"
	openAPIPath = "/openapi"
	docsPath    = "/docs"
	errorsPath  = "/docs/errors"
)

func newOpenAPI(version string) *huma.OpenAPI {
	if version == "" {
		version = "unknown"
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       apiName,
			Version:     version,
			Description: "Runs untrusted code in sandboxes. Errors are problem details (RFC 9457) with a stable code. Unknown fields, duplicate keys and nulls in a body are refused.",
		},
		Servers: []*huma.Server{{URL: "/"}},
		Tags: []*huma.Tag{
			{Name: tagAuth, Description: "Accounts, tokens and passwords."},
			{Name: tagSecrets, Description: "Secrets that programs get as environment variables. They are stored encrypted and never shown."},
			{Name: tagKeys, Description: "API keys of the account."},
			{Name: "Execute", Description: "Running programs."},
			{Name: tagSessions, Description: "Interpreters that keep their state between runs, and their files."},
			{Name: "Generate", Description: "Programs that a model writes."},
			{Name: tagZK, Description: "Programs that their authors encrypted, and that are decrypted in sandboxes only."},
			{Name: tagPackages, Description: "Packages of Python and JavaScript that your runs have."},
			{Name: tagAudit, Description: "What was done with the account, and proof of it."},
			{Name: tagSystem, Description: "The server itself."},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				schemeAPIKey: {Type: "apiKey", In: "header", Name: "x-api-key", Description: "An API key, as register, login and POST /api/v1/keys return it."},
				schemeBearer: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The token that register, login and refresh return; an API key is taken as well."},
			},
		},
	}
}

// serveDocuments adds the OpenAPI document and the pages made of it. Nothing
// changes them while the server runs, so they are made once.
func (h *Handler) serveDocuments() {
	api := h.api.OpenAPI()
	h.documentDocuments()
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, docsPath, http.StatusFound) })
	h.serveStatic(openAPIPath+".json", "application/json", func() ([]byte, error) {
		document, err := json.Marshal(api, json.Deterministic(true))
		if err == nil {
			err = (*jsontext.Value)(&document).Indent()
		}
		return document, err
	})
	h.serveStatic(openAPIPath+".yaml", "application/yaml", api.YAML)
	h.serveStatic(docsPath, "text/html; charset=utf-8", func() ([]byte, error) { return referencePage(api) })
	h.serveStatic(errorsPath, "text/html; charset=utf-8", func() ([]byte, error) { return errorsPage(api.Info.Version) })
	h.servePages()
}

// serveStatic serves what is made when it is first asked for: a server that
// starts needs none of it.
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

// documentDocuments adds the operations that serveStatic serves.
func (h *Handler) documentDocuments() {
	static := func(id, path, mediaType, summary string) {
		schema := &huma.Schema{Type: huma.TypeString}
		if mediaType != "text/html" {
			schema = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
		}
		op := &huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path,
			Summary: summary, Description: summary + ".", Tags: []string{tagSystem},
			Security: []map[string][]string{},
			Responses: map[string]*huma.Response{
				"200": {Description: "OK", Content: map[string]*huma.MediaType{mediaType: {Schema: schema}}},
				"400": h.errorResponse("Bad Request"),
				"503": h.errorResponse("Service Unavailable"),
			},
		}
		h.api.OpenAPI().AddOperation(op)
		documentResponses(op, nil)
	}
	static("openapiJSON", openAPIPath+".json", "application/json", "This API as an OpenAPI document in JSON")
	static("openapiYAML", openAPIPath+".yaml", "application/yaml", "This API as an OpenAPI document in YAML")
	static("docs", docsPath, "text/html", "This API as a page to read")
	static("docsErrors", errorsPath, "text/html", "The errors as a page to read")
}

func (h *Handler) errorResponse(description string) *huma.Response {
	return &huma.Response{
		Description: description,
		Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: h.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Error](), true, ""),
		}},
	}
}

// componentName is the name of the schema that a reference points to.
func componentName(ref string) string {
	return strings.TrimPrefix(ref, "#/components/schemas/")
}
