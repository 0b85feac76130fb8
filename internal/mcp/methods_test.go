package mcp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/mcp"
)

// methodRow matches a row of the table of methods in the documentation.
var methodRow = regexp.MustCompile("(?m)^\\| `([a-z]+(?:/[a-zA-Z]+)*)` \\| ([^|]*) \\| ([^|]*) \\|$")

// TestDocumentationListsMethods sends each method of the documentation to the handler,
// and compares the answer with the documentation.
func TestDocumentationListsMethods(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/integrations/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(mcp.NewHandler("1.2.3", newFakeAPI(), discarded()))
	t.Cleanup(s.Close)
	rows := methodRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) != 15 {
		t.Errorf("the page lists %d methods, want 15", len(rows))
	}
	for _, row := range rows {
		for i, version := range []string{"2025-11-25", "2026-07-28"} {
			want, got := row[2+i], answerTo(t, s.URL, row[1], version)
			if refused, ok := strings.CutPrefix(want, "refused, "); ok {
				want, _, _ = strings.Cut(refused, ";")
			} else {
				want = "supported"
			}
			if got != want {
				t.Errorf("%s in version %s: got %s, want %s", row[1], version, got, want)
			}
		}
	}
}

// answerTo sends a request for the method. It returns "supported", or the code of the
// error.
func answerTo(t *testing.T, url, method, version string) string {
	t.Helper()
	name := map[string]string{"resources/read": "file:///a"}[method]
	if name == "" {
		name = "session_list"
	}
	implementation := map[string]any{"name": "test", "version": "1"}
	// The request has the parameters of all methods, because each method ignores the
	// parameters of other methods.
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": map[string]any{
		"_meta": map[string]any{
			"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientInfo": implementation,
			"io.modelcontextprotocol/clientCapabilities": map[string]any{},
		},
		"protocolVersion": version, "capabilities": map[string]any{}, "clientInfo": implementation,
		"name": name, "uri": name, "arguments": map[string]any{}, "level": "info", "notifications": map[string]any{},
		"ref": map[string]any{"type": "ref/prompt", "name": name}, "argument": map[string]any{"name": "a", "value": "b"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Mcp-Protocol-Version": {version}, "Mcp-Method": {method},
	}
	switch method {
	case "tools/call", "prompts/get", "resources/read":
		r.Header.Set("Mcp-Name", name)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	// The answer is one JSON object, or the data of the last event.
	last := string(text)
	if i := strings.LastIndex(last, "data: "); i >= 0 {
		last = last[i+len("data: "):]
	}
	var answer struct {
		Result json.RawMessage
		Error  struct{ Code int }
	}
	if err := json.Unmarshal([]byte(last), &answer); err != nil {
		t.Fatalf("%s: %v: %s", method, err, text)
	}
	if answer.Result != nil {
		return "supported"
	}
	return fmt.Sprint(answer.Error.Code)
}
