package api_test

import (
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// newFullServer returns a server with all parts of the API.
func newFullServer(t *testing.T, change ...func(*api.Config)) *server {
	t.Helper()
	r := newRecords()
	r.all = append(r.all, &pyth.RecordedExecution{ExecutionRecord: pyth.ExecutionRecord{
		ID: "key_1", User: "usr_ada", State: pyth.StateEnded, Language: pyth.Python, CreatedAt: created, EndedAt: created,
		Status: pyth.StatusSucceeded, Content: pyth.ContentNone,
	}})
	return newServer(t, append(change, func(c *api.Config) {
		c.Packages, c.ZK, c.Records, c.Queue = &packageStore{}, new(encrypted), r, new(queue)
		c.Webhooks, c.Profiles, c.SecondFactors = newWebhooks(), &profiles{}, &secondFactors{}
		c.Identities, c.OIDCName = &identities{}, "Example"
		c.Backups = new(backups)
		p := newProcesses()
		close(p.exit)
		c.Processes = p
		c.Files, c.Ports, c.PreviewDomain = sessionTree{}, sharedPorts{}, "preview.example.org"
		c.Usage = &usageService{report: &pyth.UsageReport{UsageQuery: pyth.UsageQuery{Since: created, Until: created, By: pyth.UsageByDay}}}
	})...)
}

type documentedResponse struct {
	Ref     string `json:"$ref"`
	Content map[string]any
}

// responses returns the documented media types of each operation, by status.
func (s *server) responses() map[string]map[string][]string {
	s.Helper()
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]documentedResponse
		}
		Components struct{ Responses map[string]documentedResponse }
	}
	if err := json.Unmarshal([]byte(s.send(anonymous("GET", "/openapi.json", "")).body), &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		s.Fatal(err)
	}
	all := map[string]map[string][]string{}
	for path, item := range d.Paths {
		for method, op := range item {
			of := map[string][]string{}
			for status, r := range op.Responses {
				if name := strings.TrimPrefix(r.Ref, "#/components/responses/"); r.Ref != "" {
					r = d.Components.Responses[name]
				}
				of[status] = slices.Sorted(maps.Keys(r.Content))
			}
			all[strings.ToUpper(method)+" "+path] = of
		}
	}
	return all
}

// TestOperationsAnswerInDocumentedMediaTypes calls each operation with its example body
// and several values of the header Accept. The method "send" compares the answers with
// the OpenAPI document.
func TestOperationsAnswerInDocumentedMediaTypes(t *testing.T) {
	s := newFullServer(t, asAdmin)
	documented := s.responses()
	succeededIn := 0
	s.document().each(func(name string, op operation, ask func(string) *http.Request) {
		body := ""
		if op.RequestBody != nil {
			if example := op.RequestBody.Content["application/json"].Example; example != nil {
				encoded, err := json.Marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				body = string(encoded)
			}
		}
		for _, accept := range []string{"application/json", "text/event-stream", "*/*"} {
			if name == "GET /api/v1/sessions/{id}/files/{path}" {
				s.sessions.files["a.txt"] = "content"
			}
			if strings.HasSuffix(name, "/api/verify") {
				body = "" // Send no body, because the token in the example is not valid.
			}
			r := ask(body)
			r.URL.Path = strings.ReplaceAll(r.URL.Path, "key_1/proof", "entry_1/proof")
			r.Header.Set("x-api-key", goodKey)
			if strings.HasSuffix(name, "/api/refresh") {
				r.Header.Del("x-api-key")
				r.Header.Set("Authorization", "Bearer "+goodToken)
			}
			r.Header.Set("Accept", accept)
			redirects := strings.HasPrefix(name, "GET /api/oidc/")
			if name == "GET /api/oidc/login" {
				r.URL.RawQuery = "codeChallenge=" + challenge
			}
			if strings.HasSuffix(name, "/attach") {
				continue // Skip this operation: TestAttachProcess opens its WebSocket.
			}
			res := s.send(r)
			if res.StatusCode >= 300 && (!redirects || res.StatusCode != http.StatusFound) {
				t.Errorf("%s: status %d: %s", name, res.StatusCode, res.body)
				continue
			}
			succeededIn++
			streams, only := false, false
			for _, mediaTypes := range documented[name] {
				streams = streams || slices.Contains(mediaTypes, "text/event-stream")
				only = only || slices.Equal(mediaTypes, []string{"text/event-stream"})
			}
			if got := res.Header.Get("Content-Type"); (got == "text/event-stream") != (only || streams && accept == "text/event-stream") {
				t.Errorf("%s, accepting %s: the media type is %q", name, accept, got)
			}
		}
	})
	if succeededIn < 100 {
		t.Errorf("only %d calls succeeded", succeededIn)
	}
}

func TestDocsShowMediaTypesInFixedOrder(t *testing.T) {
	page := newFullServer(t).send(anonymous("GET", "/docs", "")).body
	for range 10 {
		if other := newFullServer(t).send(anonymous("GET", "/docs", "")).body; other != page {
			t.Fatal("two servers show different pages")
		}
	}
	s := newFullServer(t)
	sections := map[string]string{}
	page = html.UnescapeString(page)
	for _, m := range regexp.MustCompile(`(?s)<section class="operation" id="[^"]+">\s*<h3><code><span class="method">([A-Z]+)</span> ([^<]+)</code>(.*?)</section>`).FindAllStringSubmatch(page, -1) {
		sections[m[1]+" "+m[2]] = m[3]
	}
	for name, responses := range s.responses() {
		section, shown := sections[name]
		if !shown {
			t.Errorf("%s is not on the page", name)
		}
		for status, mediaTypes := range responses {
			_, row, _ := strings.Cut(section, "<tr><td><code>"+status+"</code>")
			row, _, _ = strings.Cut(row, "</tr>")
			at := 0
			for _, mediaType := range mediaTypes {
				i := strings.Index(row[at:], ">"+mediaType+"<")
				if i < 0 {
					t.Errorf("%s: %s lacks %s, or has it out of order: %s", name, status, mediaType, row)
					break
				}
				at += i
			}
		}
	}
	if !strings.Contains(page, "<h2>Packages</h2>") {
		t.Error("packages have no heading")
	}
}
