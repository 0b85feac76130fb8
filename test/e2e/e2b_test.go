package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestE2BClients runs the unmodified libraries of E2B for JavaScript against a server.
func TestE2BClients(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--e2b-addr=127.0.0.1:0", "--warm=1")
	url := s.e2bURL(t)
	dir := installNPMPackage(t, "e2b", "../e2b")
	for _, script := range []string{"sandboxes", "interpreter", "files", "commands"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			a := s.register(t)
			var key struct{ Key string }
			s.call(t, a, "POST", "/api/v1/keys", object{"name": "e2b", "format": "e2b"}).want(t, 201, &key)
			command := commandIn(dir, "node", filepath.Join(dir, script+".mjs"))
			command.Env = append(os.Environ(), "E2B_API_URL="+url, "E2B_SANDBOX_URL="+url, "E2B_API_KEY="+key.Key)
			if out := mustRun(t, command); out != "ok\n" {
				t.Errorf("the client printed %q", out)
			}
		})
	}
}

// e2bURL returns the address for clients of E2B. The server logs it when it starts.
func (s *server) e2bURL(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "serving clients of E2B") {
			return urlField.FindStringSubmatch(line)[1]
		}
	}
	t.Fatal("the server does not log the address for clients of E2B")
	return ""
}
