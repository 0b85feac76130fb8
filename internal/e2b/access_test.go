package e2b_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

func TestTokensAreBoundToOneSandbox(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	a, b := h.create(adaKey), h.create(adaKey)
	for name, headers := range map[string][]string{
		"other sandbox": {"E2b-Sandbox-Id", a.SandboxID, "E2b-Sandbox-Port", "49983", "X-Access-Token", b.EnvdAccessToken},
		"traffic token": {"E2b-Sandbox-Id", a.SandboxID, "E2b-Sandbox-Port", "49983", "X-Access-Token", a.TrafficAccessToken},
		"api key":       {"E2b-Sandbox-Id", a.SandboxID, "E2b-Sandbox-Port", "49983", "X-Access-Token", adaKey},
		"absent":        {"E2b-Sandbox-Id", "session-999", "E2b-Sandbox-Port", "49983", "X-Access-Token", a.EnvdAccessToken},
		"mixed":         {"E2b-Sandbox-Id", a.SandboxID, "E2b-Sandbox-Port", "49999", "X-Access-Token", a.EnvdAccessToken, "E2B-Traffic-Access-Token", b.TrafficAccessToken},
		"mixed too":     {"E2b-Sandbox-Id", a.SandboxID, "E2b-Sandbox-Port", "49999", "X-Access-Token", b.EnvdAccessToken, "E2B-Traffic-Access-Token", a.TrafficAccessToken},
	} {
		for _, path := range []string{"/health", "/files?path=a", "/contexts"} {
			if got := h.send("GET", path, "", headers...); got.status != 502 || !strings.Contains(got.body, "The sandbox was not found") {
				t.Errorf("%s %s: %d %s", name, path, got.status, got.body)
			}
		}
	}
}

func TestSandboxHeadersMustBeUnambiguous(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	id, port, token := "E2b-Sandbox-Id", "E2b-Sandbox-Port", "X-Access-Token"
	for name, c := range map[string]struct {
		status  int
		headers []string
	}{
		"two ids":      {400, []string{id, b.SandboxID, id, "session-002", port, "49983", token, b.EnvdAccessToken}},
		"two ports":    {400, []string{id, b.SandboxID, port, "49983", port, "49999", token, b.EnvdAccessToken}},
		"no port":      {400, []string{id, b.SandboxID, token, b.EnvdAccessToken}},
		"no id":        {400, []string{port, "49983", token, b.EnvdAccessToken}},
		"other port":   {502, []string{id, b.SandboxID, port, "8080", token, b.EnvdAccessToken}},
		"odd port":     {502, []string{id, b.SandboxID, port, "049983", token, b.EnvdAccessToken}},
		"list of ids":  {502, []string{id, b.SandboxID + "," + b.SandboxID, port, "49983", token, b.EnvdAccessToken}},
		"path in id":   {502, []string{id, "../" + b.SandboxID, port, "49983", token, b.EnvdAccessToken}},
		"two tokens":   {401, []string{id, b.SandboxID, port, "49983", token, b.EnvdAccessToken, token, b.EnvdAccessToken}},
		"no token":     {401, []string{id, b.SandboxID, port, "49983"}},
		"only the key": {401, []string{id, b.SandboxID, port, "49983", "X-API-KEY", adaKey}},
	} {
		if got := h.send("GET", "/envs", "", c.headers...); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, c.status)
		}
	}
	// A request with the headers of a sandbox does not reach the control plane. An access
	// token is not valid as an API key.
	h.send("GET", "/v2/sandboxes", "", id, b.SandboxID, port, "49983", token, b.EnvdAccessToken).want(t, 404, "no operation")
	h.send("GET", "/v2/sandboxes", "", "X-API-KEY", b.EnvdAccessToken).want(t, 401, "")
}

func TestRevokedKeyEndsAccess(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	other := &box{h: h}
	h.send("POST", "/sandboxes/"+b.SandboxID+"/connect", `{"timeout": 60}`, "X-API-KEY", adaKey+"2").want(t, 200, "").decode(t, other)
	if other.EnvdAccessToken == b.EnvdAccessToken {
		t.Fatal("two keys have one token")
	}
	var again box
	h.send("POST", "/sandboxes/"+b.SandboxID+"/connect", `{"timeout": 60}`, "X-API-KEY", adaKey).want(t, 200, "").decode(t, &again)
	if again.EnvdAccessToken != b.EnvdAccessToken {
		t.Error("one key has two tokens")
	}
	signed := b.sign("read", "")
	b.envd("POST", "/files?path=a.txt", "content", "Content-Type", "application/octet-stream").want(t, 200, "a.txt")
	h.send("GET", signed, "").want(t, 200, "content")
	h.gate.mu.Lock()
	h.gate.revoked[adaKey] = true
	h.gate.mu.Unlock()
	b.envd("GET", "/files?path=a.txt", "").want(t, 401, `"code":401`)
	h.send("GET", signed, "").want(t, 401, "")
	b.interpreter("POST", "/execute", `{"code": "1"}`).want(t, 401, "")
	b.envd("POST", filesystem.FilesystemStatProcedure, `{"path": "a.txt"}`).want(t, 401, `"code":"unauthenticated"`)
	other.envd("GET", "/files?path=a.txt", "").want(t, 200, "content")
}

func TestScopesLimitProtocols(t *testing.T) {
	t.Parallel()
	h, _ := newProcessHarness(t)
	b := h.create(adaKey)
	h.gate.denied[pyth.ScopeExecute] = true
	b.interpreter("POST", "/execute", `{"code": "1"}`).want(t, 403, "no scope execute")
	b.envd("POST", "/process.Process/List", `{}`).want(t, 403, `"code":"permission_denied"`)
	b.envd("POST", filesystem.FilesystemListDirProcedure, `{"path": "/home/user"}`).want(t, 200, "")
}

// sign returns the signed path of a request for the file a.txt.
func (b *box) sign(operation, expiration string) string {
	return b.signFor("a.txt", "", operation, expiration)
}

// signFor returns the signed path of a request.
func (b *box) signFor(path, user, operation, expiration string) string {
	text := fmt.Sprintf("%s:%s:%s:%s", path, operation, user, b.EnvdAccessToken)
	query := url.Values{"path": {path}}
	if user != "" {
		query.Set("username", user)
	}
	if expiration != "" {
		text += ":" + expiration
		query.Set("signature_expiration", expiration)
	}
	sum := sha256.Sum256([]byte(text))
	query.Set("signature", "v1_"+base64.RawStdEncoding.EncodeToString(sum[:]))
	return "/files?" + query.Encode()
}

// TestImplausibleSignatureIsRefused checks that the server refuses a request with long
// texts before it hashes these texts. The signatures of these requests are correct, but
// the answer is the same as for a wrong signature.
func TestImplausibleSignatureIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	b.write("a.txt", "content")
	later := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	longest := strings.Repeat("0", 20-len(later)) + later
	h.send("GET", b.signFor("a.txt", "user", "read", longest), "").want(t, 200, "content")
	h.send("GET", b.signFor(strings.Repeat("./", 2045)+"/a.txt", "", "read", ""), "").want(t, 200, "content")
	h.send("GET", b.signFor("a.txt", strings.Repeat("a", 32), "read", ""), "").want(t, 401, "error looking up user")
	wrong := h.send("GET", "/files?path=a.txt&signature=v1_"+strings.Repeat("A", 43), "").want(t, 401, "invalid signature").body
	for name, path := range map[string]string{
		"path":             b.signFor(strings.Repeat("./", 2046)+"a.txt", "", "read", ""),
		"user":             b.signFor("a.txt", strings.Repeat("a", 33), "read", ""),
		"expiration":       b.signFor("a.txt", "", "read", "0"+longest),
		"short signature":  "/files?path=a.txt&signature=v1_",
		"long signature":   "/files?path=a.txt&signature=v1_" + strings.Repeat("A", 5000),
		"signature prefix": "/files?path=a.txt&signature=v2_" + strings.Repeat("A", 43),
	} {
		for _, headers := range [][]string{nil, {"E2b-Sandbox-Id", b.SandboxID, "E2b-Sandbox-Port", "49983"}} {
			if got := h.send("GET", path, "", headers...); got.status != 401 || got.body != wrong {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
	}
}

func TestSignatureGivesAccessToOneFile(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, other := h.create(adaKey), h.create(bobKey)
	h.send("POST", b.sign("write", ""), "of ada", "Content-Type", "application/octet-stream").want(t, 200, `"path":"/home/user/a.txt"`)
	other.envd("POST", "/files?path=a.txt", "of bob", "Content-Type", "application/octet-stream").want(t, 200, "")
	later := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	read := b.sign("read", later)
	h.send("GET", read, "").want(t, 200, "of ada")
	h.send("GET", read, "", "E2b-Sandbox-Id", b.SandboxID, "E2b-Sandbox-Port", "49983").want(t, 200, "of ada")
	for name, c := range map[string]struct{ method, path string }{
		"expired":            {"GET", b.sign("read", fmt.Sprint(time.Now().Unix()))},
		"expired long ago":   {"GET", b.sign("read", "0")},
		"no number":          {"GET", b.sign("read", "never")},
		"other expiration":   {"GET", strings.Replace(read, later, "9"+later, 1)},
		"without expiration": {"GET", strings.Replace(read, "&signature_expiration="+later, "", 1)},
		"other path":         {"GET", strings.Replace(read, "a.txt", "b.txt", 1)},
		"same path":          {"GET", strings.Replace(read, "a.txt", ".%2Fa.txt", 1)},
		"other user":         {"GET", read + "&username=user"},
		"other operation":    {"POST", read},
		"read by write":      {"GET", b.sign("write", "")},
		"wrong":              {"GET", "/files?path=a.txt&signature=v1_" + strings.Repeat("A", 43)},
		"none":               {"GET", "/files?path=a.txt"},
	} {
		if got := h.send(c.method, c.path, "new", "Content-Type", "application/octet-stream"); got.status != 401 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	h.send("GET", read+"&path=b.txt", "").want(t, 400, "only once")
	h.send("GET", read, "", "E2b-Sandbox-Id", other.SandboxID, "E2b-Sandbox-Port", "49983").want(t, 401, "invalid signature")
	if other.envd("GET", "/files?path=a.txt", "").body != "of bob" {
		t.Error("a signature changed the file of another sandbox")
	}
}

func TestHugeMessagesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	huge := `{"path": "` + strings.Repeat("a", 3<<20) + `"}`
	b.envd("POST", filesystem.FilesystemStatProcedure, huge).want(t, 400, `"code":"invalid_argument"`)
	// The header of each message is wrong: the length in the first two messages, and the
	// compression flag in the last message.
	for _, prefix := range []string{"\x00\xff\xff\xff\xff", "\x00\x00\x00\x00\xff", "\x01\x00\x00\x00\x02"} {
		got := b.envd("POST", filesystem.FilesystemWatchDirProcedure, prefix+"{}", "Content-Type", "application/connect+json")
		if got.status != 200 || !strings.Contains(got.body, `"error"`) {
			t.Errorf("%q: %d %q", prefix, got.status, got.body)
		}
	}
	b.interpreter("POST", "/execute", `{"code": "`+strings.Repeat("a", 8<<20)+`"}`).want(t, 413, "")
}

// TestPathsAreThoseOfSandbox checks that a path never leads to the files of the server,
// and that a path below the home directory leads to a file of the session.
func TestPathsAreThoseOfSandbox(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	for path, want := range map[string]string{
		"a": "a", "/home/user/a": "a", "/work/a": "a", "./x/../a": "a", "//home/user//a": "a", "../work/a": "a", "/etc/../home/user/d/a": "d/a",
	} {
		b.envd("POST", "/files?path="+url.QueryEscape(path), path, "Content-Type", "application/octet-stream").want(t, 200, "/home/user/"+want)
		if got := h.sessions.all[pyth.SessionID(b.SandboxID)].files[want]; got != path {
			t.Errorf("%s: content %q", path, got)
		}
	}
	for _, path := range []string{"a\x00b", "a\xffb", strings.Repeat("a", 5000)} {
		b.envd("GET", "/files?path="+url.QueryEscape(path), "").want(t, 400, `"code":400`)
		b.envd("POST", "/files?path="+url.QueryEscape(path), "x", "Content-Type", "application/octet-stream").want(t, 400, "")
	}
	for _, message := range []string{`{"path": "a\u0000b"}`, `{"path": "` + strings.Repeat("a", 5000) + `"}`} {
		for _, procedure := range []string{filesystem.FilesystemStatProcedure, filesystem.FilesystemRemoveProcedure, filesystem.FilesystemCreateWatcherProcedure} {
			b.envd("POST", procedure, message).want(t, 400, `"code":"invalid_argument"`)
		}
	}
}
