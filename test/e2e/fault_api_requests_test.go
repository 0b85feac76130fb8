package e2e_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestListsRefuseForeignCursorsAndUnknownParameters requests lists with the cursor of a
// different list, or with unknown parameters. The server must refuse these requests.
func TestListsRefuseForeignCursorsAndUnknownParameters(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	b := a.server.register(t)
	a.storeSecret(t, "ONE", "value of one")
	a.storeSecret(t, "TWO", "value of two")
	for range 2 {
		a.openSession(t, object{})
		a.server.call(t, a, "POST", "/api/v1/keys", object{"name": "ci"}).want(t, 201, nil)
	}
	cursors := map[string]string{}
	for _, list := range []string{"keys", "secrets", "sessions", "audit"} {
		var page struct{ NextCursor string }
		a.server.call(t, a, "GET", "/api/v1/"+list+"?limit=1", nil).want(t, 200, &page)
		if page.NextCursor == "" {
			t.Fatalf("%s has only one page", list)
		}
		cursors[list] = page.NextCursor
		a.server.call(t, a, "GET", "/api/v1/"+list+"?limit=1&cursor="+url.QueryEscape(page.NextCursor), nil).want(t, 200, nil)
		a.server.call(t, b, "GET", "/api/v1/"+list+"?cursor="+url.QueryEscape(page.NextCursor), nil).refused(t, 400, "invalid_request")
	}
	for list := range cursors {
		for other, cursor := range cursors {
			if other != list {
				a.server.call(t, a, "GET", "/api/v1/"+list+"?cursor="+url.QueryEscape(cursor), nil).refused(t, 400, "invalid_request")
			}
		}
		for query, want := range map[string]string{
			"cursor=bm9uc2Vuc2U": "nextCursor", "cursor=1": "nextCursor", "cursor=%F0%9F%92%A9": "nextCursor",
			"limits=5": "did you mean limit?", "CURSOR=": "did you mean cursor?", "limit=5&limit=6": "more than once",
			"offset=3": "known names are cursor, limit",
		} {
			if list == "audit" && strings.HasPrefix(query, "offset") {
				want = "known names are action, cursor"
			}
			p := a.server.call(t, a, "GET", "/api/v1/"+list+"?"+query, nil).refused(t, 400, "invalid_request")
			if !strings.Contains(p.Detail, want) {
				t.Errorf("%s?%s: %s", list, query, p.Detail)
			}
		}
	}
}

// TestRequestsNameWhatIsTooLarge sends requests that are too large. The message of the
// 413 answer must name the part of the request that is too large.
func TestRequestsNameWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{"limits": object{"diskBytes": 4 << 20}})
	content := strings.Repeat("x", 6<<20)
	files := []object{{"path": "a", "content": content}, {"path": "b", "content": content}}
	for want, request := range map[string]object{
		"files are too large: the maximum is 10,485,760 bytes": {"code": "1", "files": files},
		"code is too large: the maximum is 1,048,576 bytes":    {"code": strings.Repeat("#", 1<<20+1)},
		"stdin is too large: the maximum is 1,048,576 bytes":   {"code": "1", "language": "javascript", "stdin": strings.Repeat("x", 1<<20+1)},
		"The body of the request is too large":                 {"code": "1", "stdin": strings.Repeat("x", 30<<20)},
	} {
		for _, in := range []string{"", session.ID} {
			if in != "" {
				delete(request, "language")
				request["sessionId"] = in
			}
			p := a.server.call(t, a, "POST", "/api/v1/execute", request).refused(t, 413, "too_large")
			if !strings.Contains(p.Detail, want) || strings.Contains(p.Detail, "program") {
				t.Errorf("the detail does not contain %q: %s", want, p.Detail)
			}
		}
	}
	header := http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"application/octet-stream"}}
	p := a.server.callWithHeader(t, header, "PUT", session.path("/files/big"), bytes.NewReader([]byte(content))).refused(t, 413, "too_large")
	if !strings.Contains(p.Detail, "4,194,304 bytes") {
		t.Error(p.Detail)
	}
}

// TestGenerateWithoutModelIsNoFailure sends a prompt to a server that has no model. The
// answer must not ask the client to retry, and the log must not contain an error.
func TestGenerateWithoutModelIsNoFailure(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, header := range []http.Header{{}, {"Accept": {"text/event-stream"}}} {
		header.Set("X-Api-Key", a.APIKey)
		got := a.server.callWithHeader(t, header, "POST", "/api/v1/generate", object{"prompt": "Print 1."})
		got.refused(t, 503, "llm_not_configured")
		if got.header.Get("Retry-After") != "" {
			t.Errorf("got %v", got.header)
		}
	}
}

// TestRequestsExplainValidationErrors sends invalid requests. The field "detail" of the
// answer must describe the errors, even if they are in nested fields.
func TestRequestsExplainValidationErrors(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{})
	for _, c := range []struct {
		method, path string
		body         any
		want         string
	}{
		{"POST", "/api/v1/execute", object{"code": "1", "languag_e": "python"}, "body.languag_e: is not a known field; did you mean language?"},
		{"POST", "/api/v1/execute", object{"code": "1", "network": object{"alow": []string{}}}, "did you mean allow?"},
		{"POST", "/api/v1/execute", object{"code": "1", "language": "java script"}, "did you mean javascript?"},
		{"POST", "/api/v1/execute", object{"code": "1", "sessionId": session.ID, "timeoutMs": 999999}, "body.timeoutMs: must be at most 300,000 ms."},
		{"POST", "/api/v1/execute", object{"code": "1", "limits": object{"memoryBytes": 1}}, "bytes."},
		{"POST", "/api/v1/sessions", object{"idleTimeoutMs": 5}, "must be between 1,000 and 86,400,000 ms."},
		{"POST", "/api/v1/sessions", object{"idleTimeout": 5000}, "did you mean idleTimeoutMs?"},
		{"POST", "/api/v1/keys", object{"name": "a", "expires_at": "2030-01-01T00:00:00Z"}, "did you mean expiresAt?"},
		{"POST", "/api/v1/keys", object{"name": "a", "expiresAt": "01/02/2030"}, "must be a time in the format of RFC 3339"},
		{"GET", "/api/v1/audit?until=now", nil, "query.until: must be a time in the format of RFC 3339"},
		{"PUT", "/api/v1/secrets/A", object{"valeu": "x", "value": "y"}, "did you mean value?"},
	} {
		answer := a.server.call(t, a, c.method, c.path, c.body)
		p := answer.refused(t, 400, "invalid_request")
		if !strings.Contains(p.Detail, c.want) || len(p.Errors) == 0 {
			t.Errorf("%s %s %v: %s", c.method, c.path, c.body, answer.body)
		}
		for _, ours := range []string{"2006", "time.", "strconv", "int64", "expected"} {
			if bytes.Contains(answer.body, []byte(ours)) {
				t.Errorf("%s %s %v: %s", c.method, c.path, c.body, answer.body)
			}
		}
	}
}

// TestExecuteNamesUnknownFieldFirst misspells the name of a required field. The first
// error in the answer must be about the misspelled field. The error about the missing
// required field must come later.
func TestExecuteNamesUnknownFieldFirst(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, c := range []struct {
		method, path string
		body         any
		want         string
	}{
		{"POST", "/api/v1/execute", object{"Code": "1"}, "body.Code: is not a known field; did you mean code?"},
		{"POST", "/api/v1/execute", object{"source_code": "1", "timeoutMs": 0}, "body.source_code: is not a known field"},
		{"POST", "/api/v1/execute", object{"code": 1, "zeta": 1}, "body.zeta: is not a known field"},
		{"POST", "/api/v1/execute", object{"code": "1", "files": []object{{"Path": "a", "content": ""}}}, "body.files[0].Path: is not a known field; did you mean path?"},
		{"POST", "/api/v1/keys", object{"Name": "ci"}, "body.Name: is not a known field; did you mean name?"},
		{"PUT", "/api/v1/secrets/A", object{"Value": "x"}, "body.Value: is not a known field; did you mean value?"},
		{"PUT", "/api/v1/packages", object{"package": "numpy"}, "body.package: is not a known field; did you mean packages?"},
		{"POST", "/api/v1/generate", object{"Prompt": "x"}, "body.Prompt: is not a known field; did you mean prompt?"},
		{"POST", "/api/login", object{"Email": "a@b.example", "password": "x"}, "body.Email: is not a known field; did you mean email?"},
	} {
		answer := a.server.call(t, a, c.method, c.path, c.body)
		if p := answer.refused(t, 400, "invalid_request"); !strings.HasPrefix(p.Detail, c.want) {
			t.Errorf("%s %s %v: %s", c.method, c.path, c.body, answer.body)
		}
	}
}

// TestListsTakeEmptyCursorAsFirstPage requests lists with an empty cursor. Some clients
// send an empty cursor for the first page, so the server must accept it. The server must
// refuse cursors that contain only blanks.
func TestListsTakeEmptyCursorAsFirstPage(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, list := range []string{"keys", "secrets", "sessions", "audit"} {
		for _, query := range []string{"?cursor=", "?limit=1&cursor="} {
			a.server.call(t, a, "GET", "/api/v1/"+list+query, nil).want(t, 200, nil)
		}
		for _, query := range []string{"?cursor=%20", "?cursor=0"} {
			p := a.server.call(t, a, "GET", "/api/v1/"+list+query, nil).refused(t, 400, "invalid_request")
			if !strings.HasPrefix(p.Detail, "query.cursor: must be the nextCursor") {
				t.Errorf("%s%s: %+v", list, query, p)
			}
		}
	}
}

// TestRequestsRefuseForms sends HTML forms and incomplete files. The server must refuse
// these requests, and must not store or run their content.
func TestRequestsRefuseForms(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{})
	form := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\ncontent\r\n--x--\r\n"
	for name, c := range map[string]struct {
		header, value, code string
		status              int
	}{
		"form.txt":  {"Content-Type", "multipart/form-data; boundary=x", "unsupported_media_type", 415},
		"mixed.bin": {"Content-Type", "multipart/related; boundary=x", "unsupported_media_type", 415},
		"part.txt":  {"Content-Range", "bytes 0-2/9", "invalid_request", 400},
		"rest.txt":  {"Content-Range", "bytes */9", "invalid_request", 400},
	} {
		header := http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"text/plain"}}
		header.Set(c.header, c.value)
		a.server.callWithHeader(t, header, "PUT", session.path("/files/"+name), form).refused(t, c.status, c.code)
		a.server.call(t, a, "GET", session.path("/files/"+name), nil).refused(t, 404, "not_found")
	}
	for _, mediaType := range []string{"multipart/form-data; boundary=x", "application/x-www-form-urlencoded"} {
		header := http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {mediaType}}
		if p := a.server.callWithHeader(t, header, "POST", "/api/v1/execute", "code=print(1)").refused(t, 415, "unsupported_media_type"); !strings.Contains(p.Detail, "not a form") {
			t.Error(p.Detail)
		}
	}
}

// TestRootShowsThePage opens the root address of a server like a browser. The answer
// must be a web page, not a JSON error.
func TestRootShowsThePage(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for _, method := range []string{"GET", "HEAD"} {
		res := must(http.DefaultClient.Do(must(http.NewRequestWithContext(t.Context(), method, s.URL+"/", nil))(t)))(t)
		res.Body.Close()
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Request.URL.Path != "/" {
			t.Errorf("%s: status %d, %v", method, res.StatusCode, res.Header)
		}
	}
}
