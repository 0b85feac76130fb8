package e2e_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestPage uses the web page in Chromium like a person (see test/browser). The server's
// tokens are valid only for a short time, so the page must often renew its login.
func TestPage(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--token-ttl=10s", "--warm=1")
	link := regexp.MustCompile(`http://\S+#setup=\S+`).FindString(s.log.String())
	if link == "" {
		t.Fatalf("the server prints no link: %s", s.log)
	}
	dir := installNPMPackage(t, "browser", "../browser")
	out := mustRun(t, commandIn(dir, nodeBinary(t), "page.mjs", s.URL, link))
	if n := strings.Count(out, "\nok "); n < 20 {
		t.Errorf("only %d checks ran:\n%s", n, out)
	}
	t.Log("\n" + out)
}

// TestPageHasNoTypeErrors checks the TypeScript types in the sources of the web page.
func TestPageHasNoTypeErrors(t *testing.T) {
	t.Parallel()
	dir := installNPMPackage(t, "browser", "../browser")
	sources := installNPMPackage(t, "page", "../../web")
	content := copySources(t, "../../web", sources)
	runOnce(t, sources+"/checked", content, func() {
		mustRun(t, commandIn(sources, "node", dir+"/node_modules/typescript/bin/tsc", "-p", "tsconfig.json"))
	})
}
