package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

var apiAttacks = []attack{
	{"092_bodies_that_are_too_much_are_refused", func(t *testing.T, s *server, a *account) {
		deep := `{"code": ` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`
		s.call(t, a, "POST", "/api/v1/execute", deep).refused(t, 400, "invalid_request")
		s.call(t, a, "POST", "/api/v1/execute", `{"code": "1", "timeoutMs": 1`+strings.Repeat("0", 10_000)+`}`).refused(t, 400, "invalid_request")
		s.call(t, a, "POST", "/api/v1/execute", `{"code": "1", "timeoutMs": 1e999}`).refused(t, 400, "invalid_request")
		before := s.peakMemoryBytes(t)
		header := http.Header{"X-Api-Key": {a.APIKey}}
		huge := io.MultiReader(strings.NewReader(`{"code": "`), io.LimitReader(endlessBlanks{}, 1<<30))
		// The request may fail, because the server can close the connection before it
		// has received the whole body.
		if res, err := s.tryCall(t.Context(), header, "POST", "/api/v1/execute", huge); err == nil {
			res.refused(t, 413, "too_large")
		}
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		_, _ = z.Write(bytes.Repeat([]byte(" "), 100*mib))
		_ = z.Close()
		header = http.Header{"X-Api-Key": {a.APIKey}, "Content-Encoding": {"gzip"}}
		s.callWithHeader(t, header, "POST", "/api/v1/execute", &bomb).refused(t, 415, "unsupported_media_type")
		if grown := s.peakMemoryBytes(t) - before; grown > 64*mib {
			t.Errorf("the server's memory grew by %d MiB", grown/mib)
		}
	}},
	{"093_bodies_are_read_strictly", func(t *testing.T, s *server, a *account) {
		for _, body := range []string{
			`{"code": "1", "code": "2"}`, `{"code": "1", "Code": "2"}`, `{"CODE": "1"}`, `{"code": "1", "unknown": 1}`,
			`{"code": "1"} {}`, `{"code": "1"}x`, `{"code": 1}`, `{"code": null}`, `[]`, `"x"`, ``, `{`, "{\"code\": \"\xff\"}",
		} {
			s.call(t, a, "POST", "/api/v1/execute", body).refused(t, 400, "invalid_request")
		}
	}},
	exclusive(attack{"095_many_logins_at_once_take_bounded_memory", func(t *testing.T, s *server, a *account) {
		before := s.peakMemoryBytes(t)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				res, err := s.tryCall(t.Context(), nil, "POST", "/api/login", object{"email": a.email, "password": password})
				if err != nil {
					t.Error(err)
				} else if res.status != 200 {
					// The server can refuse a login if the computation of the password
					// hash would have to wait too long.
					res.refused(t, 503, "overloaded")
				}
			})
		}
		wg.Wait()
		if grown := s.peakMemoryBytes(t) - before; grown > 200*mib {
			t.Errorf("the server's memory grew by %d MiB", grown/mib)
		}
	}}),
	{"096_what_is_anothers_is_not_there", func(t *testing.T, s *server, a *account) {
		b := s.register(t)
		var key struct{ ID, Key string }
		s.call(t, a, "POST", "/api/v1/keys", object{"name": "mine"}).want(t, 201, &key)
		anothers := s.call(t, b, "DELETE", "/api/v1/keys/"+key.ID, nil).refused(t, 404, "not_found")
		absent := s.call(t, b, "DELETE", "/api/v1/keys/"+strings.Repeat("0", len(key.ID)), nil).refused(t, 404, "not_found")
		if anothers.Detail != absent.Detail || anothers.Title != absent.Title {
			t.Errorf("the error for another user's key, %+v, differs from that for an absent key, %+v", anothers, absent)
		}
		if list := s.call(t, b, "GET", "/api/v1/keys", nil).want(t, 200, nil); bytes.Contains(list.body, []byte(key.ID)) {
			t.Errorf("%s", list.body)
		}
		s.callWithHeader(t, http.Header{"X-Api-Key": {key.Key}}, "POST", "/api/verify", nil).want(t, 200, nil)
		s.call(t, a, "DELETE", "/api/v1/keys/"+key.ID, nil).want(t, 204, nil)
		s.callWithHeader(t, http.Header{"X-Api-Key": {key.Key}}, "POST", "/api/verify", nil).refused(t, 401, "unauthenticated")
	}},
	{"097_credentials_and_programs_are_never_shown", func(t *testing.T, s *server, a *account) {
		var seen strings.Builder
		note := func(res *answer) { seen.Write(res.body) }
		canary := "canary-of-the-code"
		note(s.call(t, nil, "GET", "/api/v1/keys?api_key="+a.APIKey+"&token="+a.Token, nil))
		note(s.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey + "x"}}, "GET", "/api/v1/keys", nil))
		note(s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token + "x"}}, "GET", "/api/v1/keys", nil))
		note(s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password + canary}))
		note(s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password, canary: 1}))
		note(s.call(t, nil, "POST", "/api/refresh", object{"refreshToken": a.RefreshToken + canary}))
		note(s.call(t, a, "POST", "/api/v1/execute", object{"code": canary, "env": object{"PYTHONPATH": canary}}))
		note(s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "files": []object{{"path": "x", "content": canary, "encoding": "base64"}}}))
		a.run(t, "raise ValueError('"+canary+"')")
		for _, secret := range []string{password, a.APIKey, a.Token, a.RefreshToken} {
			if strings.Contains(seen.String(), secret) {
				t.Errorf("an answer contains %.12s…: %s", secret, seen.String())
			}
		}
		for _, secret := range []string{password, canary, a.APIKey, a.Token, a.RefreshToken, strings.Split(a.Token, ".")[2]} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log contains %.12s…", secret)
			}
		}
		// The audit log must not contain credentials, even if a caller puts the
		// credentials into a path or a user agent.
		s.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}, "User-Agent": {"curl " + a.APIKey + " " + a.RefreshToken}}, "DELETE", "/api/v1/keys/"+a.APIKey, nil)
		entries, _ := runAudit(t, s.data, "export")
		if !strings.Contains(entries, `"resource":"[credential]"`) || !strings.Contains(entries, `"userAgent":"curl [credential] [credential]"`) {
			t.Errorf("the attempt is not in the audit log: %s", entries)
		}
		for _, secret := range []string{password, canary, a.APIKey, a.Token, a.RefreshToken, strings.Split(a.Token, ".")[2]} {
			if strings.Contains(entries, secret) {
				t.Errorf("the audit log contains %.12s…", secret)
			}
		}
	}},
	{"098_tokens_that_this_server_did_not_make_are_refused", func(t *testing.T, s *server, a *account) {
		parts := strings.Split(a.Token, ".")
		var claims map[string]any
		if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(parts[1]))(t), &claims); err != nil {
			t.Fatal(err)
		}
		encode := func(v any) string {
			return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v))(t))
		}
		sign := func(header, claims any, key string) string {
			text := encode(header) + "." + encode(claims)
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte(text))
			return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
		hs256 := object{"alg": "HS256", "typ": "JWT"}
		for name, token := range map[string]string{
			"none":              encode(object{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
			"none, capitalised": encode(object{"alg": "None"}) + "." + parts[1] + ".",
			"another key":       sign(hs256, claims, "secret"),
			"an empty key":      sign(hs256, claims, ""),
			"RS256":             sign(object{"alg": "RS256", "typ": "JWT"}, claims, "secret"),
			"HS384":             encode(object{"alg": "HS384", "typ": "JWT"}) + "." + parts[1] + "." + parts[2],
			"no signature":      parts[0] + "." + parts[1] + ".",
			"changed claims":    parts[0] + "." + encode(object{"sub": "other"}) + "." + parts[2],
			"dots":              strings.Repeat(".", 1000),
			"nothing":           "",
			"too long":          a.Token + strings.Repeat("A", 5000),
		} {
			res := s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + token}}, "GET", "/api/v1/keys", nil)
			if res.status != 401 {
				t.Errorf("%s: %d %s", name, res.status, res.body)
			}
		}
		// The header is larger than the server's limit. The server can refuse the
		// request or close the connection.
		if res, err := s.tryCall(t.Context(), http.Header{"Authorization": {"Bearer " + strings.Repeat(".", mib)}}, "GET", "/api/v1/keys", nil); err == nil && (res.status < 400 || res.status > 499) {
			t.Errorf("a megabyte of dots: %d", res.status)
		}
		s.call(t, nil, "POST", "/api/verify", object{"token": strings.Repeat(".", 8000)}).refused(t, 401, "unauthenticated")
	}},
	{"099_a_refresh_token_that_is_used_twice_ends_its_family", func(t *testing.T, s *server, _ *account) {
		a := s.register(t)
		refresh := func(token, agent string) *answer {
			return s.callWithHeader(t, http.Header{"User-Agent": {agent}}, "POST", "/api/refresh", object{"refreshToken": token})
		}
		var first, retried authResponse
		refresh(a.RefreshToken, "mine").want(t, 200, &first)
		// Simulate a client that has not received the answer: the same client uses the
		// same refresh token again.
		refresh(a.RefreshToken, "mine").want(t, 200, &retried)
		if first.RefreshToken == retried.RefreshToken || retried.RefreshToken == a.RefreshToken {
			t.Error("the same refresh token was returned twice")
		}
		// If a client with another user agent uses the same refresh token, the server
		// must revoke all tokens of this login.
		refresh(a.RefreshToken, "another").refused(t, 401, "invalid_credentials")
		refresh(first.RefreshToken, "mine").refused(t, 401, "invalid_credentials")
		refresh(retried.RefreshToken, "mine").refused(t, 401, "invalid_credentials")
		// Other logins of the same user must stay valid.
		var again authResponse
		s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, &again)
		refresh(again.RefreshToken, "mine").want(t, 200, nil)
	}},
	{"100_nobody_forges_lines_of_a_log", func(t *testing.T, s *server, a *account) {
		forged := `{"action":"user.login"}`
		header := http.Header{"X-Api-Key": {a.APIKey}, "User-Agent": {"\u202e\t" + strings.Repeat("long ", 1000)}, "X-Request-Id": {"a b"}}
		s.callWithHeader(t, header, "DELETE", "/api/v1/keys/x%0d%0a"+url.PathEscape(forged)+"%00%1b%5b2J%e2%80%ae", nil).refused(t, 404, "not_found")
		entries, _ := runAudit(t, s.data, "export")
		lines := strings.Split(strings.TrimSuffix(entries, "\n"), "\n")
		for i, line := range lines {
			var e struct {
				Sequence            int
				UserAgent, Resource string
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Sequence != i || len(e.UserAgent) > 256 || len(e.Resource) > 256 {
				t.Fatalf("%v in %q", err, line)
			}
		}
		if last := lines[len(lines)-1]; strings.ContainsAny(last, "\u202e\x1b\x00\r\t") || !strings.Contains(last, "x��{") {
			t.Errorf("%q", last)
		}
		if strings.Contains(s.log.String(), "\n"+forged) || strings.Contains(s.log.String(), "\x1b") {
			t.Error("a line of the log is forged")
		}
	}},
	{"106_a_server_that_is_told_to_stop_answers_what_runs", func(t *testing.T, _ *server, _ *account) {
		s := startServer(t)
		a := s.register(t)
		var x *execution
		var wg sync.WaitGroup
		wg.Go(func() { x = a.run(t, "import time\ntime.sleep(10)\nprint('done')") })
		eventually(t, "the program runs", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
		s.stop(t)
		wg.Wait()
		if x != nil {
			x.prints(t, "done\n")
		}
	}},
	{"106_a_program_that_takes_too_long_to_end_is_canceled_with_an_answer", func(t *testing.T, _ *server, _ *account) {
		s := startServer(t, "--drain-timeout=500ms")
		a := s.register(t)
		var x *execution
		var wg sync.WaitGroup
		wg.Go(func() { x = a.run(t, "import time\nprint('begun', flush=True)\ntime.sleep(60)") })
		eventually(t, "the program runs", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
		begun := time.Now()
		s.stop(t)
		wg.Wait()
		if x != nil && (x.Status != "canceled" || time.Since(begun) > 50*time.Second) {
			t.Error(x)
		}
	}},
	{"110_a_data_directory_has_one_server", func(t *testing.T, s *server, _ *account) {
		out, err := runBinary(t, "serve", "--addr=127.0.0.1:0", "--data-dir="+s.data)
		if err == nil || !strings.Contains(out, "another server uses the data directory") || strings.Contains(out, "goroutine") {
			t.Errorf("%v: %s", err, out)
		}
	}},
}

type endlessBlanks struct{}

func (endlessBlanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
