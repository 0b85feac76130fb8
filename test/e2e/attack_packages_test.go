package e2e_test

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func entryWithMode(name string, mode fs.FileMode) *zip.FileHeader {
	h := &zip.FileHeader{Name: name}
	h.SetMode(mode)
	return h
}

func TestAttackPackages(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag(), "--max-package-size-per-user=32", "--egress-allow-range=127.0.0.0/8")
	a := s.register(t)
	a.setPackages(t, "base-lib==1.0").want(t, "base-lib 1.0")
	// The function "refused" tries to change the packages of the user. The server must
	// refuse the change, and the user's package list must stay the same.
	refused := func(t *testing.T, status int, code string, packages ...string) *problem {
		t.Helper()
		p := s.call(t, a, "PUT", packagesPath, object{"packages": packages}).refused(t, status, code)
		a.listPackages(t).want(t, "base-lib 1.0")
		return p
	}
	invalid := func(t *testing.T, requirements ...string) {
		t.Helper()
		x.Set(func() { x.Requests = nil })
		for _, language := range []string{"python", "javascript"} {
			for _, r := range requirements {
				s.call(t, a, "POST", packagesPath, object{"language": language, "package": r}).refused(t, 400, "invalid_requirement")
				s.call(t, a, "PUT", packagesPath, object{"language": language, "packages": []string{r}}).refused(t, 400, "invalid_requirement")
			}
		}
		x.Set(func() {
			if len(x.Requests) > 0 {
				t.Errorf("the index got requests for %v", x.Requests)
			}
		})
		a.listPackages(t).want(t, "base-lib 1.0")
	}

	t.Run("81 options, files and URLs instead of a name", func(t *testing.T) {
		invalid(t, "--index-url=http://evil.example/", "-r x", "-rx", "-e .", "git+https://evil.example/x", "file:///etc/passwd", "./x", "../x", "/etc/passwd",
			"x @ https://evil.example/x.whl", "x@https://evil.example/x.tgz", "x@file:../y", "x@git+ssh://evil.example/y", "x@npm:y@1", "user/repository", "https://evil.example/x.whl")
	})
	t.Run("82 line breaks and spaces", func(t *testing.T) {
		invalid(t, "a==1;os", "a; python_version > '3'", "a\n--index-url=http://evil.example/", "a b", " a", "a ", "a\x00", "a\r\nb", "a\tb", "a==1 --pre", "a$(id)", "a`id`", "a&&b", "a|b", "a>b")
	})
	t.Run("83 a source distribution that would run code", func(t *testing.T) {
		x.putFile("evil-sdist-1.0.tar.gz", []byte("not looked at"))
		x.Set(func() { x.Requests = nil })
		refused(t, 409, "unsatisfiable", "evil-sdist")
		x.Set(func() {
			for _, path := range x.Requests {
				if strings.HasPrefix(path, "GET /files/") {
					t.Errorf("the server downloaded the source distribution: %s", path)
				}
			}
		})
	})
	t.Run("84 a dependency in another index", func(t *testing.T) {
		var asked atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		defer other.Close()
		x.add(t, wheel{Name: "confused", Version: "1", Requires: []string{"hidden @ " + other.URL + "/hidden-1-py3-none-any.whl"}},
			wheel{Name: "private", Version: "1", Requires: []string{"not-in-this-index"}})
		refused(t, 409, "unsatisfiable", "confused")
		refused(t, 409, "unsatisfiable", "private")
		if asked.Load() > 0 {
			t.Error("the install reached another host")
		}
	})
	t.Run("85 a wheel with paths outside its directory", func(t *testing.T) {
		for i, raw := range [][]*zip.FileHeader{
			{entryWithMode("../evil.py", 0o644)},
			{entryWithMode("a/../../evil.py", 0o644)},
			{entryWithMode("/etc/evil", 0o644)},
			{entryWithMode("a//b", 0o644)},
			{entryWithMode("./a", 0o644)},
			{entryWithMode(`..\evil.py`, 0o644)},
			{entryWithMode("a\x01b", 0o644)},
			{entryWithMode(strings.Repeat("a/", 100)+"b", 0o644)},
			{entryWithMode("evil", fs.ModeSymlink|0o777)},
			{entryWithMode("evil", fs.ModeDevice|0o666)},
			{entryWithMode("evil", fs.ModeNamedPipe|0o666)},
			{entryWithMode("twice", 0o644), entryWithMode("twice", 0o644)},
			{entryWithMode("file", 0o644), entryWithMode("file/below", 0o644)},
			{entryWithMode("other-1.dist-info/METADATA", 0o644)},
		} {
			name := fmt.Sprint("hostile", i)
			x.add(t, wheel{Name: name, Version: "1", Raw: raw})
			refused(t, 409, "unsatisfiable", name)
		}
		if _, err := os.Stat("/etc/evil"); err == nil {
			t.Error("the file left its directory")
		}
	})
	t.Run("86 a bomb", func(t *testing.T) {
		x.add(t, wheel{Name: "bomb", Version: "1", Files: map[string]string{"bomb.bin": strings.Repeat("\x00", 64<<20)}})
		refused(t, 409, "unsatisfiable", "bomb")
		many := map[string]string{}
		for i := range 9000 {
			many[fmt.Sprintf("many/m%d.py", i)] = ""
		}
		// Empty files also count towards the size limit, because each file takes at
		// least one block.
		x.add(t, wheel{Name: "many", Version: "1", Files: many})
		s.call(t, a, "PUT", packagesPath, object{"packages": []string{"many"}}).refused(t, 409, "unsatisfiable")
		for i := range 3 {
			x.add(t, wheel{Name: fmt.Sprint("large", i), Version: "1", Files: map[string]string{fmt.Sprintf("large%d.bin", i): strings.Repeat("\x00", 12<<20)}})
		}
		refused(t, 413, "too_large", "large0", "large1", "large2")
	})
	t.Run("87 lookalike and endless names", func(t *testing.T) {
		invalid(t, "rеquests", "ｎumpy", "nump\u200by", "\u202enumpy", "ﬁle", strings.Repeat("a", 10<<10), "")
	})
	t.Run("88 code at start and at import", func(t *testing.T) {
		b := s.register(t)
		x.add(t, wheel{Name: "evil-pth", Version: "1", Files: map[string]string{
			"evil.pth":         "import evil_start\n",
			"evil_start.py":    "import os\nos.environ['STARTED'] = str(os.getuid() != 0)\n",
			"evil_hang.py":     "while True: pass\n",
			"pip/__init__.py":  "raise SystemExit('ran')\n",
			"sitecustomize.py": "raise SystemExit('ran')\n",
			"json.py":          "raise SystemExit('ran')\n",
		}}, wheel{Name: "evil-hang", Version: "1", Files: map[string]string{"hang.pth": "import time; time.sleep(1000)\n"}})
		b.setPackages(t, "evil-pth").want(t, "evil-pth 1")
		b.run(t, "import os, json\nprint(os.environ['STARTED'], json.dumps(1))").prints(t, "True 1\n")
		// User b installs a package that hangs when the interpreter starts. Runs of
		// this user hang until their time-out, but runs of other users must not hang.
		b.setPackages(t, "evil-hang").want(t, "evil-hang 1")
		b.execute(t, object{"code": "print(1)", "timeoutMs": 500}).ends(t, "timed_out")
		a.run(t, "import base_lib\nprint(base_lib.VALUE)").prints(t, "one\n")
		b.setPackages(t, "base-lib").want(t, "base-lib 2.0")
		b.run(t, "import base_lib\nprint(base_lib.VALUE)").prints(t, "two\n")
		for _, code := range []string{
			"open('/opt/pyth-on/python-packages/base_lib/__init__.py', 'a')", "open('/opt/pyth-on/python-packages/evil.py', 'w')",
			"import os; os.remove('/opt/pyth-on/python-packages/base_lib')", "import os; os.mkdir('/node_modules/x')",
		} {
			b.run(t, "try:\n    "+code+"\nexcept OSError as e:\n    print('refused')").prints(t, "refused\n")
		}
	})
	t.Run("89 scripts of npm's packages", func(t *testing.T) {
		b := s.register(t)
		// The package core-js has a postinstall script. The server must not run this
		// script.
		var l packageList
		s.call(t, b, "PUT", packagesPath, object{"language": "javascript", "packages": []string{"core-js@3.30.0"}}).want(t, 200, &l)
		l.want(t, "core-js 3.30.0")
		b.execute(t, object{"language": "javascript", "code": "console.log(JSON.parse(require('fs').readFileSync('/node_modules/core-js/package.json')).scripts.postinstall !== undefined, require('core-js/package.json').version)"}).prints(t, "true 3.30.0\n")
	})
	t.Run("90 content that differs from the index", func(t *testing.T) {
		b := s.register(t)
		// The package index announces a wrong hash of the wheel.
		lie := wheel{Name: "liar", Version: "1", Files: map[string]string{"liar.py": "VALUE = 1\n"}}
		x.Set(func() { x.Hashes[lie.Filename()] = strings.Repeat("ab", 32) })
		x.add(t, lie)
		s.call(t, b, "PUT", packagesPath, object{"packages": []string{"liar"}}).refused(t, 502, "index_unavailable")
		// The package index replaces the wheel after user b has installed it. User c
		// must get the new content. User b must keep the old content.
		one := wheel{Name: "twin", Version: "1", Files: map[string]string{"twin.py": "VALUE = 'first'\n"}}
		x.add(t, one)
		b.setPackages(t, "twin").want(t, "twin 1")
		one.Files["twin.py"] = "VALUE = 'second'\n"
		x.add(t, one)
		c := s.register(t)
		c.setPackages(t, "twin").want(t, "twin 1")
		b.run(t, "import twin\nprint(twin.VALUE)").prints(t, "first\n")
		c.run(t, "import twin\nprint(twin.VALUE)").prints(t, "second\n")
		// If a downloaded file is damaged on the server's disk, the server must
		// download the file again.
		for _, f := range must(filepath.Glob(filepath.Join(s.data, "packages", "downloads", "*")))(t) {
			if !strings.HasSuffix(f, ".metadata") {
				if err := os.WriteFile(f, []byte("damaged"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range must(filepath.Glob(filepath.Join(s.data, "packages", "images", "*")))(t) {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		d := s.register(t)
		d.setPackages(t, "twin", "space-one").want(t, "space-one 1, twin 1")
		d.run(t, "import twin\nprint(twin.VALUE)").prints(t, "second\n")
	})
	t.Run("91 a change while programs run", func(t *testing.T) {
		b := s.register(t)
		pair := func(version string) []wheel {
			return []wheel{
				{Name: "left", Version: version, Files: map[string]string{"left.py": "VALUE = " + version + "\n"}},
				{Name: "right", Version: version, Files: map[string]string{"right.py": "VALUE = " + version + "\n"}},
			}
		}
		x.add(t, append(pair("1"), pair("2")...)...)
		b.setPackages(t, "left==1", "right==1")
		in := b.openSession(t, object{"language": "python"})
		var all sync.WaitGroup
		done := make(chan struct{})
		for range 2 {
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					r := b.run(t, "import left, time\ntime.sleep(0.05)\nimport right\nprint(left.VALUE == right.VALUE)")
					if r.Stdout != "True\n" {
						t.Errorf("the run did not see the same version of both packages: %s", r)
						return
					}
				}
			})
		}
		for _, v := range []string{"2", "1", "2"} {
			b.setPackages(t, "left=="+v, "right=="+v)
		}
		close(done)
		all.Wait()
		b.run(t, "import left, right\nprint(left.VALUE, right.VALUE)").prints(t, "2 2\n")
		// An open session must keep the packages that the user had when the session was
		// opened.
		in.runCode(t, "import left, right\nprint(left.VALUE, right.VALUE)").prints(t, "1 1\n")
	})
}
