package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestExecuteFollowsAcceptQuality sends Accept headers with quality values. The quality
// values must decide the media type of the answer (RFC 9110, section 12.5.1).
func TestExecuteFollowsAcceptQuality(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{}).ID
	for accept, want := range map[string]string{
		"application/json;q=0.9, text/event-stream;q=0.8": "application/json",
		"text/event-stream;q=0.3, application/*":          "application/json",
		"*/*":                                             "application/json",
		"text/event-stream;q=0, */*;q=0.1":                "application/json",
		"application/xml":                                 "application/json",
		"application/json;q=0.1, text/event-stream":       "text/event-stream",
		"application/json;q=0, */*;q=0.5":                 "text/event-stream",
		"text/event-stream, */*;q=0.9":                    "text/event-stream",
	} {
		for _, request := range []object{
			{"code": "print(6 * 7)"},
			{"code": "console.log(6 * 7)", "language": "javascript"},
			{"code": "console.log(6 * 7 as number)", "language": "typescript"},
			{"code": "print(6 * 7)", "sessionId": session},
		} {
			header := http.Header{"X-Api-Key": {a.APIKey}, "Accept": {accept}}
			got := a.server.callWithHeader(t, header, "POST", "/api/v1/execute", request).want(t, 200, nil)
			if got.header.Get("Content-Type") != want || !strings.Contains(string(got.body), `42\n`) {
				t.Errorf("%s, %v: got %s: %s", accept, request, got.header.Get("Content-Type"), got.body)
			}
		}
	}
}
