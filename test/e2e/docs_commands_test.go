package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

// codeBlock is a fenced code block of a documentation page.
type codeBlock struct {
	line           int
	language, text string
	// notRun is the reason why the test does not run this code block. The reason comes
	// from a marker `<!-- not run: … -->` above the block.
	notRun string
	// fails is the text that the code block must print when it fails. If fails is "", the
	// block must succeed. The text comes from a marker `<!-- fails: … -->` above the
	// block.
	fails string
}

func codeBlocks(t *testing.T, page string) []codeBlock {
	t.Helper()
	marker := regexp.MustCompile(`^<!-- (not run|fails): (.+) -->$`)
	var blocks []codeBlock
	var block *codeBlock
	var notRun, fails string
	for i, line := range strings.Split(page, "\n") {
		fence, fenced := strings.CutPrefix(line, "```")
		switch {
		case block != nil && fenced:
			blocks = append(blocks, *block)
			block = nil
		case block != nil:
			block.text += line + "\n"
		case fenced:
			block = &codeBlock{line: i + 1, language: fence, notRun: notRun, fails: fails}
			notRun, fails = "", ""
		case marker.MatchString(line):
			if m := marker.FindStringSubmatch(line); m[1] == "fails" {
				fails = m[2]
			} else {
				notRun = m[2]
			}
		case notRun != "" || fails != "":
			t.Errorf("line %d: a marker is not followed by a code block", i+1)
			notRun, fails = "", ""
		}
	}
	if block != nil {
		t.Errorf("line %d: the code block has no end", block.line)
	}
	return blocks
}

// script returns the commands of the code block as a shell script. If the block has the
// marker "fails", the block must fail and print the text in the marker. Otherwise the
// script fails.
func (b *codeBlock) script() string {
	if b.fails == "" {
		return b.text
	}
	return fmt.Sprintf("if (\n%s) >failed.txt; then echo 'the block in line %d must fail'; exit 1; fi\ncat failed.txt\ngrep -q '%s' failed.txt\n", b.text, b.line, b.fails)
}

// commandPage describes how the test runs the commands of a page, and what the commands
// must print.
type commandPage struct {
	// The field "registers" is true if the commands of the page create an account.
	registers bool
	// flags returns the flags for a separate server. If flags is nil, the page uses the
	// shared server.
	flags func(t *testing.T) []string
	// The field "starts" is true if the commands of the page start the server.
	starts bool
	// installed is true if the commands use the paths of the Debian package. The test
	// replaces these paths by paths in the working directory.
	installed bool
	// account is true if the commands start the server, but need an existing account.
	// In this case, the test creates an account after the server has started.
	account bool
	// ownData is true if the commands read the data directory of the server. The
	// commands then need a separate server.
	ownData bool
	// folder is a folder that the test copies to the working directory of the commands.
	// If it is "", the test copies no folder.
	folder string
	// env returns environment variables for the commands. links returns symbolic links:
	// a map from names to targets. files maps the names of files to their contents.
	// want lists texts that the output of the commands must contain.
	env   func(t *testing.T) []string
	links func(t *testing.T) map[string]string
	files map[string]string
	want  []string
	// notRun contains the reasons in the "not run" markers of the page, in order.
	notRun []string
}

// commandPages returns a map from paths of pages to descriptions. It contains all pages
// that have commands.
func commandPages(t *testing.T) map[string]commandPage {
	// The fake model answers each prompt with this program.
	m := startModel(t, claudetest.Program("Shows the answer.", "print(6 * 7)"))
	return map[string]commandPage{
		"README.md": {registers: true, starts: true, want: []string{`"stdout":"2 rows\n"`, `"text/plain":"42"`, "\n42\n"}},
		"docs/api.md": {
			registers: true, notRun: []string{"needs a host on the Internet"},
			want: []string{`"valid":true`, `"path":"count.txt","sizeBytes":1`, `data: {"text":"2\n"}`, `"text/plain":"[0, 1, 4, 9]"`, `"treeSize":`},
		},
		"clients/python/README.md": {
			env:   func(t *testing.T) []string { return []string{"PYTHONPATH=" + pythonWheel(t)} },
			files: map[string]string{"bin/python3": "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n"},
			want: []string{
				"succeeded 0 done 42 HELLO\n", "0\n1\n2\nsucceeded\n", "42\nb'20' ['data/in.txt']\n", "['0', '1', '4']\nasync\n", "42\nsucceeded True\n",
				"[secret:BILLING_TOKEN]\nKeyError\n", "decrypted\nDecryptionError\n", "ZeroDivisionError\n400 invalid_request True\n",
			},
		},
		"clients/javascript/README.md": {
			links: func(t *testing.T) map[string]string {
				return map[string]string{"node_modules": filepath.Join(javascriptLibrary(t), "node_modules")}
			},
			want: []string{
				"succeeded 0 done 42 HELLO\n", "0\n1\n2\nsucceeded\n", "42\n20 [ 'data/in.txt' ]\n", "42\nsucceeded\ntrue\n",
				"[secret:BILLING_TOKEN]\nKeyError\n", "decrypted\nDecryptionError\n", "ZeroDivisionError\n400 invalid_request true\n",
			},
		},
		"examples/zk/README.md": {folder: "../../examples/zk", want: []string{"hello\nhello\nhello\n"}},
		"docs/accounts.md": {
			want:   []string{`"scopes":["execute"]`, `"email":"ada.lovelace@example.com"`, `"uri":"otpauth://totp/`},
			notRun: []string{"needs a mail server", "needs a mail server", "needs a code from the authenticator app", "needs a code from the authenticator app", "needs an OIDC provider", "needs a reset token", "needs a mail server"},
		},
		"docs/administration.md": {
			ownData: true, want: []string{"pyapi_", "pyinv_", "Link to set the password of bob@", "sessions: 3", "user, disabled"},
			notRun: []string{"needs a user with a second factor", "needs an OIDC provider"},
		},
		"docs/audit.md":  {ownData: true, want: []string{`"entries":`, "intact: ", `"action":"user.registered"`}},
		"docs/backup.md": {ownData: true, want: []string{"verified\n", "The root key is correct.", "intact: "}, notRun: []string{"needs a server on another machine"}},
		"docs/command-line.md": {
			notRun: []string{"asks on a terminal", "asks on a terminal"},
			want:   []string{"\nhello world\n", "42\n42\n", "sales.csv", "BILLING_TOKEN", "Stored the encrypted program hello", ").\nhello\n"},
		},
		"docs/generate.md": {
			flags: func(t *testing.T) []string { return modelFlags(t, m) },
			env: func(*testing.T) []string {
				return []string{"ANTHROPIC_API_KEY=" + claudetest.Key, "ANTHROPIC_BASE_URL=" + m.URL}
			},
			files: map[string]string{"sales.csv": "day,amount\n"},
			want:  []string{`"stdout":"42\n"`, `"explanation":"Shows the answer."`, "\n42\n"},
		},
		// The deep test TestDebianPackage runs the commands of the Debian package.
		"docs/installation.md": {notRun: slices.Concat([]string{"needs the files of a release"}, slices.Repeat([]string{needsNewMachine}, 7),
			[]string{"needs Docker", "needs Docker", "needs a cluster"})},
		"docs/operations.md": {
			starts: true, installed: true, files: map[string]string{"bin/sudo": sudoOfPages, "bin/systemctl": systemctlOfPages},
			want: []string{
				`"status":`, `"stdout":"42\n"`, "executionsPerDay: 1000", "example.org\t", `"state":`, "user, disabled",
				"\ncanceled\n", " 0 damaged", "verified\n", "The root key is correct.", "succeeded\n",
			},
			notRun: []string{needsNewMachine, needsNewMachine},
		},
		"docs/server.md": {
			starts: true, want: []string{`"status":`, "ok       sandbox ", "pyapi_", " 0 damaged"},
			notRun: []string{"needs systemd as process 1", "needs systemd as process 1", "downloads large packages", "needs a database that a newer version has migrated"},
		},
		"docs/mcp.md": {
			links: func(t *testing.T) map[string]string {
				return map[string]string{"node_modules": filepath.Join(installNPMPackage(t, "mcp", "../mcp"), "node_modules")}
			},
			files:  map[string]string{"bin/npx": inspectorOfPages},
			want:   []string{"status: succeeded, exit code 0", `"stdout": "from a shell\n"`, `"value":"42"`},
			notRun: []string{"needs Claude Code", "needs Claude Code"},
		},
		// TestE2BClients runs the libraries of E2B.
		"docs/integrations/e2b.md": {notRun: []string{"starts a server", "needs the listener", "needs the listener"}},
		"docs/libraries.md":        {files: map[string]string{"bin/go": goOfLibraries}, want: []string{"0\n1\n2\nsucceeded\n42\ndecrypted\nnot found\n"}},
		"docs/packages.md": {
			// The page installs numpy, so the fake Python index contains a package with
			// this name. npm uses the registry that is configured on this machine.
			flags: func(t *testing.T) []string {
				return []string{newIndex(t).add(t, wheel{Name: "numpy", Version: "2.1", Files: map[string]string{
					"numpy/__init__.py": "class arange(list):\n    def __init__(self, n):\n        super().__init__(range(n))\n\n    def sum(self):\n        return sum(self)\n",
				}}).Flag()}
			},
			want: []string{`"requirement":"numpy>=2"`, `"stdout":"6\n"`, `"name":"@noble/hashes"`, `"stdout":"32\n"`},
		},
		"docs/runtimes.md": {
			starts: true, account: true,
			env: func(t *testing.T) []string {
				return []string{
					"RUNTIME_TAR=" + must(dataScience.tar())(t),
					"RUNTIME_BUILD=runtime build --suite=bookworm --from-debian " + dataScience.packages + " --exclude " + dataScience.exclude + " -o data-science.tar",
				}
			},
			want: []string{`"text/html":"<div>`, "\n6\n", "data-science runs programs"}, notRun: []string{"needs Docker and a registry of images"},
		},
		"docs/scaling.md":    {notRun: []string{"needs several machines", "needs several machines", "needs several machines", "needs several machines"}},
		"docs/secrets.md":    {want: []string{`"stdout":"12 [secret:BILLING_TOKEN]\n"`, `"redactions":1`, `"secrets":[{`}},
		"docs/executions.md": {want: []string{`"labels":["nightly"]`, `"stdout":"42\n"`, `"content":"stored"`, "id: 2\nevent: stdout\n"}},
		"docs/webhooks.md": {
			flags: func(*testing.T) []string { return []string{"--egress-allow-range=127.0.0.1/32"} },
			env:   func(t *testing.T) []string { return []string{"HOOK=" + startReceiver(t).URL} },
			want:  []string{`"secret":"whsec_`, `"event":"execution.ended"`, `"state":"delivered"`, `"responseStatus":200`},
		},
		"docs/settings.md": {notRun: []string{"the page has no server", "the page has no server"}, want: []string{"\n#max-running = 0\n", "SETTING ", "flag --max-running", `"origin":"environment","source":"PYTH_ON_NODE"`}},
		"docs/usage.md":    {want: []string{`"executions":1,`, `"by":"key"`, `"name":"sessions"`}},
		"docs/processes.md": {
			want:   []string{`"exitCode":0`, `"stdout":"total `, "first\\n", `"signal":"SIGTERM"`},
			notRun: []string{"needs a terminal"},
		},
		"docs/session-files.md": {
			want:   []string{`"path":"data/large.bin"`},
			notRun: []string{"ends with the session"},
		},
		"docs/ports.md": {
			flags:  func(*testing.T) []string { return []string{"--preview-domain=localhost"} },
			want:   []string{"hello\n", `"url":"http`},
			notRun: []string{"starts a server"},
		},
		"docs/sessions.md":       {want: []string{`"stdout":"2432902008176640000\n"`, `"path":"data/measured.csv","sizeBytes":8`}},
		"docs/zero-knowledge.md": {want: []string{`"stdout":"42\n"`}},
		"docs/quickstart.md": {registers: true, want: []string{
			`"stdout":"45 3.14.`, `"status":"timed_out"`, "event: end", `{"text/plain":"5"}`, `"image/svg+xml":"<svg`,
			`"stdout":"token: [secret:BILLING_TOKEN]\n"`,
		}},
		"docs/quickstart-python.md": {want: []string{
			"succeeded 42\n", "400 invalid_request", "did you mean timeoutMs", "out.txt 'HELLO\\n'", "0\n1\n2\nsucceeded\n", "\n42\n",
		}},
		"docs/quickstart-javascript.md": {want: []string{
			"succeeded 42\n", "400 invalid_request", `out.txt "HELLO\n"`, "0\n1\n2\nsucceeded\n", "\n42\n",
		}},
	}
}

// TestDocumentationCommandsRun runs all commands of the README and the other pages,
// except code blocks with a "not run" marker. Before a run, it changes only the
// server's port, the domain of e-mail addresses, and the cost of a key derivation.
func TestDocumentationCommandsRun(t *testing.T) {
	t.Parallel()
	pages := append(must(filepath.Glob("../../docs/*.md"))(t), must(filepath.Glob("../../docs/decisions/*.md"))(t)...)
	pages = append(pages, must(filepath.Glob("../../docs/integrations/*.md"))(t)...)
	pages = append(pages, "../../README.md", "../../examples/zk/README.md", "../../clients/python/README.md", "../../clients/javascript/README.md")
	known := commandPages(t)
	for _, path := range pages {
		name := must(filepath.Rel("../..", path))(t)
		blocks := codeBlocks(t, readFile(t, path))
		page, listed := known[name]
		delete(known, name)
		if !listed {
			if slices.ContainsFunc(blocks, func(b codeBlock) bool { return slices.Contains(runLanguages, b.language) }) {
				t.Errorf("%s has commands that no test runs: list it in commandPages", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page.run(t, blocks)
		})
	}
	for name := range maps.Keys(known) {
		t.Errorf("there is no page %s", name)
	}
}

// runLanguages contains the languages of code blocks that the test runs or saves as
// programs. shownLanguages contains the languages of code blocks that are only shown.
var (
	runLanguages   = []string{"sh", "python", "javascript", "go"}
	shownLanguages = []string{"", "json", "ini", "nginx", "toml"}
)

// run executes all commands of a page in one shell and in a new working directory.
func (p commandPage) run(t *testing.T, blocks []codeBlock) {
	dir := t.TempDir()
	port := freePort(t)
	var notRun []string
	script := "set -eu -o pipefail\n" +
		// With the option --fail-with-body, curl fails if the API returns an error.
		// Without this option, the script would continue after an error.
		"curl() { command curl --fail-with-body \"$@\"; }\n"
	for _, block := range blocks {
		switch {
		case block.notRun != "":
			notRun = append(notRun, block.notRun)
		case block.language == "sh":
			// Print a line break after each code block. Without it, the last line of
			// one block and the first line of the next could form one line.
			script += block.script() + "echo\n"
			if p.account && strings.Contains(block.text, "pyth-on serve") {
				script += registerOfPages
			}
		case slices.Contains(runLanguages, block.language):
			p.saveProgram(t, dir, block)
		case !slices.Contains(shownLanguages, block.language):
			t.Errorf("line %d: the language %q is not allowed for code blocks", block.line, block.language)
		case strings.HasPrefix(block.text, "$ "):
			t.Errorf("line %d: remove the prompt and set the language sh", block.line)
		}
	}
	if !slices.Equal(notRun, p.notRun) {
		t.Errorf("blocks are not run for the reasons %q, want %q", notRun, p.notRun)
	}
	script = strings.ReplaceAll(script, "127.0.0.1:8080", "127.0.0.1:"+port)
	// Use cheap parameters for the key derivation. The parameters on the page are
	// expensive: without a native library, the Python client would need minutes.
	script = strings.ReplaceAll(script, "python/run.py report", "python/run.py --memory-kib 64 --time 1 report")
	script = strings.ReplaceAll(script, "@example.org", "@port"+port+".example.org")

	env := append(os.Environ(),
		"PATH="+dir+"/bin:"+os.Getenv("PATH"), "PYTH_ON_CACHE_DIR="+imageDir, "PYTH_ON_NODE="+nodeBinary(t),
		"REPOSITORY="+must(filepath.Abs("../.."))(t), "PYTHONDONTWRITEBYTECODE=1")
	var pageEnv []string
	if p.env != nil {
		pageEnv = p.env(t) // This can build an image, which is linked below.
	}
	data := filepath.Join(dir, "data")
	if p.installed {
		data = filepath.Join(dir, "var/lib/pyth-on/data")
		script = strings.NewReplacer(" /etc/pyth-on/", " "+dir+"/etc/pyth-on/", "/var/lib/pyth-on", dir+"/var/lib/pyth-on", "/var/backups", dir+"/var/backups").Replace(script)
		env = append(env, "PYTH_ON_CONFIG="+writeSettings(t, dir, data))
	}
	if p.starts || p.ownData {
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := linkImages(data); err != nil {
			t.Fatal(err)
		}
	}
	if p.starts {
		env = append(env, "PYTH_ON_ADDR=127.0.0.1:"+port, "PYTH_ON_RATE_LIMIT=off", "PYTH_ON_WARM=0", "PYTH_ON_WARM_NODE=0", "URL=http://127.0.0.1:"+port)
		t.Cleanup(func() { stopServerOfPage(t, dir) })
	} else {
		s := p.startServer(t, data)
		script = strings.ReplaceAll(script, "http://127.0.0.1:"+port, s.URL)
		env = append(env, "URL="+s.URL)
		if database := databases.of(data); database != "" {
			env = append(env, "PYTH_ON_DATABASE="+database)
		}
		if !p.registers {
			a := s.register(t)
			env = append(env, "KEY="+a.APIKey)
		}
	}
	env = append(env, pageEnv...)
	p.writeTools(t, dir)
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	// Write the output to a file instead of a pipe. With a pipe, Wait would not return
	// until the server in the background has ended.
	output := must(os.Create(filepath.Join(dir, "output")))(t)
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	err := cmd.Run()
	out := readFile(t, output.Name())
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range p.want {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in: %s", want, out)
		}
	}
}

// startServer returns the server for the commands of the page. If the page needs a
// separate data directory or flags, this is a new server. Otherwise it is the shared
// server.
func (p commandPage) startServer(t *testing.T, data string) *server {
	switch {
	case p.ownData:
		return startServerIn(t, data, nil)
	case p.flags != nil:
		return startServer(t, p.flags(t)...)
	default:
		return sharedServer(t)
	}
}

// writeSettings writes a settings file like the settings file of a server that was
// installed from the Debian package. It returns the path of the file.
func writeSettings(t *testing.T, dir, data string) string {
	t.Helper()
	path := filepath.Join(dir, "etc/pyth-on/pyth-on.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("data-dir = \""+data+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// saveProgram saves a code block as a program file. The first line of the code block
// contains the name of the file.
func (commandPage) saveProgram(t *testing.T, dir string, block codeBlock) {
	t.Helper()
	name := regexp.MustCompile(`^(?:#|//) ([a-z_]+\.(?:py|mjs|go))\n`).FindStringSubmatch(block.text)
	if name == nil {
		t.Errorf("line %d: the program does not begin with the name of its file", block.line)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(block.text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeTools writes the files of the page to the directory. It also writes scripts that
// replace commands such as pyth-on and make.
func (p commandPage) writeTools(t *testing.T, dir string) {
	t.Helper()
	tools := strings.NewReplacer("{{binary}}", binary, "{{make}}", must(exec.LookPath("make"))(t))
	files := map[string]string{"bin/pyth-on": pythOnOfPages, "bin/make": makeOfPages}
	maps.Copy(files, p.files)
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(tools.Replace(content)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if p.folder != "" {
		if err := os.CopyFS(dir, os.DirFS(p.folder)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"go.mod", "go.sum"} {
			if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile("../../"+name))(t), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	links := map[string]string{"bin/node": nodeBinary(t), "examples": must(filepath.Abs("../../examples"))(t)}
	if p.links != nil {
		maps.Copy(links, p.links(t))
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// pythOnOfPages is a script that replaces the command `pyth-on`. For `pyth-on serve`,
// it stops the last server, starts a new server in the background, and waits until
// programs can run. When a command creates an account, the script enters the password.
const pythOnOfPages = `#!/usr/bin/env bash
set -eu
lives() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }
case "$1" in
serve)
    if [ -e server.pid ]; then
        kill "$(cat server.pid)"
        while lives "$(cat server.pid)"; do sleep 0.1; done
    fi
    '{{binary}}' "$@" >>server.log 2>&1 &
    echo $! >server.pid
    until curl -fsS "http://$PYTH_ON_ADDR/readyz" >/dev/null 2>&1 || curl -fsSk "https://$PYTH_ON_ADDR/readyz" >/dev/null 2>&1; do
        lives "$(cat server.pid)" || { cat server.log; exit 1; }
        sleep 0.1
    done ;;
runtime)
    # Another test builds this image with the same flags.
    [ "$*" = "$RUNTIME_BUILD" ] || { echo "got $*, want $RUNTIME_BUILD"; exit 1; }
    cp -s "$RUNTIME_TAR" data-science.tar ;;
users)
    exec '{{binary}}' "$@" <<<'correct horse battery' ;;
*)
    exec '{{binary}}' "$@" ;;
esac
`

// goOfLibraries is a script that replaces the command `go`. The Go module of Pyth-On is
// not published, so the script uses the module in this repository.
const goOfLibraries = `#!/usr/bin/env bash
set -eu
export PATH=${PATH#*:} CGO_ENABLED=0 GOFLAGS='-mod=mod -trimpath'
case "$*" in
'get github.com/pyth-on/pyth-on/client')
    go mod edit -require=github.com/pyth-on/pyth-on@v0.0.0 -replace=github.com/pyth-on/pyth-on="$REPOSITORY" ;;
*)
    exec go "$@" ;;
esac
`

// sudoOfPages is a script that replaces sudo. It ignores options that change the owner
// of files, because the user pyth-on does not exist in the test.
const sudoOfPages = `#!/usr/bin/env bash
set -eu
[ "$1" != -u ] || shift 2
owner=
for arg in "$@"; do
    shift
    case "$owner$arg" in
    -o | -g) owner=next ;;
    next*) owner= ;;
    *) set -- "$@" "$arg" ;;
    esac
done
exec "$@"
`

// systemctlOfPages is a script that replaces systemctl. The deep test TestDebianPackage
// uses the real systemd.
const systemctlOfPages = `#!/usr/bin/env bash
set -eu
data=var/lib/pyth-on/data
case "$*" in
"enable --now pyth-on" | "start pyth-on" | "restart pyth-on")
    # Images take long to make.
    [ ! -e var/lib/pyth-on/lost ] || ln var/lib/pyth-on/lost/{rootfs-,sandbox-}* $data/
    exec pyth-on serve ;;
"reload pyth-on")
    before=$(grep -c 'settings reloaded' server.log || true)
    kill -HUP "$(cat server.pid)"
    until [ "$(grep -c 'settings reloaded' server.log)" -gt "$before" ]; do sleep 0.1; done ;;
"stop pyth-on")
    kill "$(cat server.pid)"
    while [ -e "/proc/$(cat server.pid)/status" ] && ! grep -q '^State:.Z' "/proc/$(cat server.pid)/status"; do sleep 0.1; done
    rm server.pid ;;
*) exit 1 ;;
esac
`

// registerOfPages is a shell script that creates an account on the server that the
// commands of a page have started.
const registerOfPages = `KEY=$(curl -sS $URL/api/register -H 'Content-Type: application/json' \
  -d '{"email": "page@example.org", "password": "correct horse battery"}' | jq -r .apiKey)
`

// makeOfPages is a script that replaces `make`. It only prints the commands of a
// target, because `make test` would run this test again. It fails if the Makefile does
// not contain the target.
const makeOfPages = `#!/usr/bin/env bash
exec env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL '{{make}}' -n -C "$REPOSITORY" "$@"
`

// stopServerOfPage stops a server that the commands of the page have started.
func stopServerOfPage(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "server.pid"))
	if err != nil {
		return
	}
	pid := must(strconv.Atoi(strings.TrimSpace(string(b))))(t)
	_ = syscall.Kill(pid, syscall.SIGTERM)
	deadline := time.Now().Add(patience)
	for isRunning(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Error("the server did not stop")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isRunning reports whether the process exists and is not a zombie.
func isRunning(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "\nState:\tZ")
}

// nextPort is the last port that the function freePort has returned.
var nextPort atomic.Int32

// freePort returns a free port. The port is below the range from which the kernel
// chooses ports for other servers. So the port stays free until the caller uses it.
func freePort(t *testing.T) string {
	t.Helper()
	nextPort.CompareAndSwap(0, int32(10_000+os.Getpid()%10_000))
	for {
		port := fmt.Sprint(nextPort.Add(1))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		} else if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}
