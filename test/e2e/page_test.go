package e2e_test

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

// TestPage uses the web page in Chromium like a person (see test/browser). The server's
// tokens are valid only for a short time, so the page must often renew its login.
func TestPage(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	provider, flags := startProviderFor(t, "http://127.0.0.1:"+port)
	provider.SetPerson(object{"sub": "1", "email": "ada@example.org", "email_verified": true})
	model := startModel(t,
		claudetest.Program("First try.", "print('half')\nprint(1 / 0)"),
		claudetest.Program("שלום 🚀", "print('half')\nprint(21 * 2)"))
	flags = append(flags, modelFlags(t, model, "--addr=127.0.0.1:"+port, "--oidc-name=Example", "--token-ttl=10s", "--warm=1")...)
	s := startServer(t, flags...)
	dir := installNPMPackage(t, "browser", "../browser")
	out := runWithRestarts(t, commandIn(dir, nodeBinary(t), "page.mjs", s.URL, setupLink(t, s), provider.URL), func() {
		s.kill(t)
		s = startServerIn(t, s.data, nil, flags...)
	})
	if n := strings.Count(out, "\nok "); n < 45 {
		t.Errorf("only %d checks ran:\n%s", n, out)
	}
	t.Log("\n" + out)
}

// runWithRestarts runs a command and returns its output. When the command prints the line
// "restart", runWithRestarts calls the function "restart", and then sends the command a
// line.
func runWithRestarts(t *testing.T, c *exec.Cmd, restart func()) string {
	t.Helper()
	in := must(c.StdinPipe())(t)
	r, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Wait()
		_ = w.Close()
	}()
	var out strings.Builder
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
		if lines.Text() == "restart" {
			restart()
			_, _ = io.WriteString(in, "restarted\n")
		}
	}
	if err := errors.Join(lines.Err(), <-ended); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out.String())
	}
	return out.String()
}

// setupLink returns the link for the first administrator from the log of the server.
func setupLink(t *testing.T, s *server) string {
	t.Helper()
	link := regexp.MustCompile(`http://\S+#setup=\S+`).FindString(s.log.String())
	if link == "" {
		t.Fatalf("the server prints no link: %s", s.log)
	}
	return link
}

// TestPageScoresInLighthouse measures the speed, accessibility and best practices of the
// page.
func TestPageScoresInLighthouse(t *testing.T) {
	onlyDeep(t, "the speed is only right on an idle machine")
	s := startServer(t)
	dir := installNPMPackage(t, "lighthouse", "../lighthouse")
	t.Log("\n" + mustRun(t, commandIn(dir, nodeBinary(t), "measure.mjs", s.URL, setupLink(t, s))))
}

// TestPageHasNoTypeErrors checks the sources of the page with TypeScript.
func TestPageHasNoTypeErrors(t *testing.T) {
	t.Parallel()
	dir := installNPMPackage(t, "browser", "../browser")
	sources := installNPMPackage(t, "page", "../../web")
	content := copySources(t, "../../web", sources)
	runOnce(t, sources+"/checked", content, func() {
		mustRun(t, commandIn(sources, "node", dir+"/node_modules/typescript/bin/tsc", "-p", "tsconfig.json"))
	})
}
