package openapitest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/api/openapitest"
)

const document = `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /thing:
    get:
      responses:
        "200":
          description: OK
          content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
  /readyz:
    get:
      responses:
        "503":
          description: no
          content: {application/problem+json: {schema: {$ref: "#/components/schemas/Error"}}}
components:
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [size, at]
      properties: {size: {type: integer}, at: {type: string, format: date-time}}
    Error:
      type: object
      required: [code]
      properties: {code: {type: string}}
`

func TestCheckFindsDifferences(t *testing.T) {
	const problem, plain = "application/problem+json", "application/json"
	tests := []struct {
		name, method, path string
		status             int
		mediaType, body    string
		ok                 bool
	}{
		{"documented response", "GET", "/thing", 200, plain, `{"size":1,"at":"2026-04-04T08:23:21Z"}`, true},
		{"a wrong type", "GET", "/thing", 200, plain, `{"size":"1","at":"2026-04-04T08:23:21Z"}`, false},
		{"a wrong format", "GET", "/thing", 200, plain, `{"size":1,"at":"today"}`, false},
		{"a missing field", "GET", "/thing", 200, plain, `{"size":1}`, false},
		{"unknown field", "GET", "/thing", 200, plain, `{"size":1,"at":"2026-04-04T08:23:21Z","x":1}`, false},
		{"an undocumented status", "GET", "/thing", 201, plain, `{"size":1,"at":"2026-04-04T08:23:21Z"}`, false},
		{"an undocumented media type", "GET", "/thing", 200, problem, `{"size":1,"at":"2026-04-04T08:23:21Z"}`, false},
		{"text instead of JSON", "GET", "/thing", 200, "text/plain; charset=utf-8", `{"size":1,"at":"2026-04-04T08:23:21Z"}`, false},
		{"no body instead of JSON", "GET", "/thing", 200, "", "", false},
		{"error with the wrong schema", "GET", "/thing", 404, plain, `{"code":"x"}`, false},
		{"an unknown path with an Error", "GET", "/other", 404, problem, `{"code":"x"}`, true},
		{"an unknown path with another body", "GET", "/other", 404, problem, `{}`, false},
		{"an unknown path that succeeds", "GET", "/other", 200, plain, `{}`, false},
		{"an unknown method with an Error", "PUT", "/thing", 405, problem, `{"code":"x"}`, true},
	}
	v, err := openapitest.New([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := &http.Response{
				StatusCode: tt.status,
				Header:     http.Header{"Content-Type": {tt.mediaType}, "X-Request-Id": {"1"}},
				Body:       io.NopCloser(strings.NewReader(tt.body)),
			}
			err := v.Check(httptest.NewRequest(tt.method, tt.path, nil), res)
			if (err == nil) != tt.ok {
				t.Errorf("the verdict is %v", err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != tt.body {
				t.Errorf("the body is %q, %v after the check", body, err)
			}
		})
	}
}

func TestNewRefusesBrokenDocument(t *testing.T) {
	if _, err := openapitest.New([]byte(strings.Replace(document, "info: {title: t, version: \"1\"}", "", 1))); err == nil {
		t.Error("a document without info was accepted")
	}
}

func TestTransportFailsNonconformingResponses(t *testing.T) {
	v, err := openapitest.New([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "1")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, r.URL.Query().Get("body"))
	}))
	defer server.Close()
	client := &http.Client{Transport: &openapitest.Transport{Validator: v}}
	res, err := client.Get(server.URL + "/thing?body=" + `{"size":1,"at":"2026-04-04T08:23:21Z"}`)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res, err := client.Get(server.URL + "/thing?body={}"); err == nil {
		res.Body.Close()
		t.Error("an undocumented response was passed on")
	}
}
