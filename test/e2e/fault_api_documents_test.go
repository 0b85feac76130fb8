package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// documentedResponse is a response in the OpenAPI document. It can also be a reference
// to a response that several operations share.
type documentedResponse struct {
	Ref     string `json:"$ref"`
	Content map[string]any
}

// TestDocsShowEveryOperationAndMediaType checks the reference page of a server. The
// page must show all operations and all media types of their answers.
func TestDocsShowEveryOperationAndMediaType(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]documentedResponse
		}
		Components struct{ Responses map[string]documentedResponse }
	}
	s.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, &document)
	page := string(s.call(t, nil, "GET", "/docs", nil).want(t, 200, nil).body)
	page = strings.ReplaceAll(page, "&#43;", "+")
	shown := 0
	for path, item := range document.Paths {
		for method, op := range item {
			_, section, _ := strings.Cut(page, `<section class="operation" id="`+op.OperationID+`">`)
			section, _, _ = strings.Cut(section, "</section>")
			for status, r := range op.Responses {
				if name := strings.TrimPrefix(r.Ref, "#/components/responses/"); r.Ref != "" {
					r = document.Components.Responses[name]
				}
				_, row, _ := strings.Cut(section, "<code>"+status+"</code>")
				row, _, _ = strings.Cut(row, "</tr>")
				for _, mediaType := range slices.Sorted(maps.Keys(r.Content)) {
					if !strings.Contains(row, ">"+mediaType+"<") {
						t.Errorf("%s %s: %s lacks %s", method, path, status, mediaType)
					}
					shown++
				}
			}
		}
	}
	if !strings.Contains(page, "<h2>Packages</h2>") || shown < 200 {
		t.Errorf("only %d media types are shown", shown)
	}
}

// TestSessionFilesHaveDocumentedMediaType reads session files. For each answer, the
// test client checks that the OpenAPI document contains the media type.
func TestSessionFilesHaveDocumentedMediaType(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"python", "javascript"} {
		s := a.openSession(t, object{"language": language})
		for name, want := range map[string]string{
			"table.tsv": "text/tab-separated-values", "notes.md": "text/markdown", "page.html": "text/html", "a.json": "application/json", "raw": "text/plain",
		} {
			for _, method := range []string{"PUT", "GET", "HEAD"} {
				got := a.server.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"application/octet-stream"}}, method, s.path("/files/"+name), "x")
				if method != "PUT" && (got.status != 200 || got.header.Get("Content-Type") != want) {
					t.Errorf("%s %s: status %d, %q", method, name, got.status, got.header.Get("Content-Type"))
				}
			}
		}
	}
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(a.server.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, nil).body, &document); err != nil {
		t.Fatal(err)
	}
	if got := document.Paths["/api/v1/sessions/{id}/files/{path}"]["get"].Responses["200"].Content; len(got) != 1 || got["*/*"] == nil {
		t.Errorf("the document contains %v", got)
	}
}
