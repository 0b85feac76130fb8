package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

const packagesPath = "/api/v1/packages"

// packageInfo describes an installed package in an answer of the API.
type packageInfo struct {
	Name, Version, Requirement, Language, InstalledAt string
	Direct                                            bool
	SizeBytes                                         int64
}

type packageList struct{ Packages []packageInfo }

// String returns the packages with their versions. Packages that are only dependencies
// are in parentheses.
func (l packageList) String() string {
	var all []string
	for _, p := range l.Packages {
		s := p.Name + " " + p.Version
		if !p.Direct {
			s = "(" + s + ")"
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func (a *account) listPackages(t testing.TB) packageList {
	t.Helper()
	var l packageList
	a.server.call(t, a, "GET", packagesPath, nil).want(t, 200, &l)
	return l
}

// setPackages replaces the account's Python packages and returns the new list.
func (a *account) setPackages(t testing.TB, requirements ...string) packageList {
	t.Helper()
	var l packageList
	a.server.call(t, a, "PUT", packagesPath, object{"packages": append([]string{}, requirements...)}).want(t, 200, &l)
	return l
}

func (l packageList) want(t testing.TB, want string) {
	t.Helper()
	if l.String() != want {
		t.Fatalf("got %s, want %s", l, want)
	}
}

// dependentWheels returns wheels of several packages. Some of these packages depend on
// others.
func dependentWheels() []wheel {
	module := func(name, value string) map[string]string {
		return map[string]string{name + "/__init__.py": "VALUE = " + fmt.Sprintf("%q", value) + "\n"}
	}
	return []wheel{
		{Name: "base-lib", Version: "1.0", Files: module("base_lib", "one")},
		{Name: "base-lib", Version: "1.5", Files: module("base_lib", "one and a half")},
		{Name: "base-lib", Version: "2.0", Files: module("base_lib", "two")},
		{Name: "likes-one", Version: "1.0", Requires: []string{"base-lib<2"}, Files: module("likes_one", "1")},
		{Name: "likes-two", Version: "1.0", Requires: []string{"base-lib>=2", "extra-lib; extra == 'more'"}, Files: module("likes_two", "2")},
		{Name: "extra-lib", Version: "0.1", Files: module("extra_lib", "x")},
		{Name: "space-one", Version: "1", Files: map[string]string{"space/one.py": "VALUE = 1\n", "single.py": "VALUE = 0\n"}},
		{Name: "space-two", Version: "1", Files: map[string]string{"space/two.py": "VALUE = 2\n", "space/data/x.txt": "text"}},
	}
}

func TestPackagesInstallPython(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	x.addDebianWheels(t)
	x.add(t, wheel{Name: "fast", Version: "1.0", Tag: "cp311-abi3-manylinux_2_17_x86_64", Files: map[string]string{"fast.abi3.so": buildExtension(t, "fast")}})
	s := startServer(t, x.Flag())
	a, b := s.register(t), s.register(t)
	a.listPackages(t).want(t, "")

	var p packageInfo
	s.call(t, a, "POST", packagesPath, object{"package": "Setuptools"}).want(t, 201, &p)
	if p.Name != "setuptools" || p.Requirement != "setuptools" || !p.Direct || p.SizeBytes < 1<<20 || p.InstalledAt == "" || p.Language != "python" {
		t.Errorf("got %+v", p)
	}
	s.call(t, a, "POST", packagesPath, object{"package": "setuptools"}).want(t, 200, &p)
	a.run(t, "import setuptools, importlib.metadata as m\nprint(m.version('setuptools') == setuptools.__version__, setuptools.__cached__.endswith('.cpython-314.pyc'), __import__('os').path.exists(setuptools.__cached__))").prints(t, "True True True\n")
	// Child processes and sub-interpreters must also be able to import the packages.
	a.run(t, "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'import setuptools; print(1)'], text=True), end='')").prints(t, "1\n")
	a.run(t, "from concurrent import interpreters\ni = interpreters.create()\ni.exec('import setuptools; print(1)')").prints(t, "1\n")
	b.run(t, "import importlib.util as u\nprint(u.find_spec('setuptools'))").prints(t, "None\n")

	a.setPackages(t, "pip", "wheel>=0.38", "fast", "setuptools").want(t, "fast 1.0, pip 23.0.1, "+wheelVersion(x, "setuptools")+", "+wheelVersion(x, "wheel"))
	a.run(t, "import fast, pip, wheel\nprint(fast.answer(), pip.__version__)").prints(t, "42 23.0.1\n")
	a.execute(t, object{"code": "import fast\nprint(fast.answer())", "isolation": "execution"}).prints(t, "42\n")

	// The server must install dependencies automatically. When the user removes the
	// last package that needs a dependency, the server must also remove the dependency.
	a.setPackages(t, "likes-one").want(t, "(base-lib 1.5), likes-one 1.0")
	a.run(t, "import base_lib, likes_one\nprint(base_lib.VALUE)").prints(t, "one and a half\n")
	refusal := s.call(t, a, "POST", packagesPath, object{"package": "likes-two"}).refused(t, 409, "unsatisfiable")
	if !strings.Contains(refusal.Detail, "base-lib<2") || !strings.Contains(refusal.Detail, "likes-two") {
		t.Errorf("the detail is %s", refusal.Detail)
	}
	a.listPackages(t).want(t, "(base-lib 1.5), likes-one 1.0")
	s.call(t, a, "DELETE", packagesPath+"/base-lib", nil).refused(t, 409, "conflict")
	s.call(t, a, "DELETE", packagesPath+"/none", nil).refused(t, 404, "not_found")
	s.call(t, b, "DELETE", packagesPath+"/likes-one", nil).refused(t, 404, "not_found")
	a.setPackages(t, "likes-two[more]", "base-lib").want(t, "base-lib 2.0, (extra-lib 0.1), likes-two 1.0")
	s.call(t, a, "DELETE", packagesPath+"/Likes.Two", nil).want(t, 204, nil)
	a.listPackages(t).want(t, "base-lib 2.0")
	s.call(t, a, "POST", packagesPath, object{"package": "base-lib<2"}).want(t, 200, &p)
	a.listPackages(t).want(t, "base-lib 1.5")
	// When a user changes one package, the versions of the other packages must stay the
	// same if possible.
	a.setPackages(t, "base-lib==1.0").want(t, "base-lib 1.0")
	s.call(t, a, "POST", packagesPath, object{"package": "likes-one"}).want(t, 201, &p)
	a.listPackages(t).want(t, "base-lib 1.0, likes-one 1.0")

	// Install packages that share a namespace, and packages that consist of a single
	// module.
	a.setPackages(t, "space-one", "space-two")
	a.run(t, "import space.one, space.two, single, importlib.resources as r\nprint(space.one.VALUE, space.two.VALUE, single.VALUE, (r.files('space') / 'data/x.txt').read_text())").prints(t, "1 2 0 text\n")
	a.setPackages(t).want(t, "")
	a.run(t, "import importlib.util as u\nprint(u.find_spec('space'))").prints(t, "None\n")
}

// wheelVersion returns one text with the package's name and its version in the package
// index.
func wheelVersion(x *index, name string) string {
	for filename := range x.Files {
		if parts := strings.Split(filename, "-"); parts[0] == name {
			return name + " " + parts[1]
		}
	}
	return ""
}

func TestPackagesInstallJavaScript(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	var l packageList
	s.call(t, a, "PUT", packagesPath, object{"language": "javascript", "packages": []string{"lodash@^4.17.0", "zod", "@noble/hashes"}}).want(t, 200, &l)
	if len(l.Packages) != 3 || l.Packages[0].Language != "javascript" || l.Packages[1].Requirement != "lodash@^4.17.0" {
		t.Errorf("got %+v", l)
	}
	a.execute(t, object{"language": "javascript", "code": "const _ = require('lodash')\nconst { z } = require('zod')\nconsole.log(_.chunk([1, 2, 3], 2), z.number().safeParse('x').success)"}).prints(t, "[ [ 1, 2 ], [ 3 ] ] false\n")
	a.execute(t, object{"language": "typescript", "code": "import { sha256 } from '@noble/hashes/sha2.js'\nimport _ from 'lodash'\nconst n: number = _.sum([40, 2])\nconsole.log(n, Buffer.from(sha256(new Uint8Array())).toString('hex').slice(0, 8))"}).prints(t, "42 e3b0c442\n")
	// Install a package with dependencies. Two versions of some dependencies are
	// installed.
	s.call(t, a, "PUT", packagesPath, object{"language": "typescript", "packages": []string{"chalk@2", "string-width@4", "wrap-ansi@7"}}).want(t, 200, &l)
	indirect := slices.ContainsFunc(l.Packages, func(p packageInfo) bool { return p.Name == "ansi-styles" && !p.Direct && p.Requirement == "" })
	if !indirect {
		t.Errorf("got %s", l)
	}
	a.execute(t, object{"language": "javascript", "code": "const chalk = require('chalk')\nconst wrap = require('wrap-ansi')\nconsole.log(new chalk.constructor({ level: 1 }).red('x') === '\\u001b[31mx\\u001b[39m', wrap('a b', 1))"}).prints(t, "true a\nb\n")
	a.execute(t, object{"language": "javascript", "code": "try { require('lodash') } catch (e) { console.log(e.code) }"}).prints(t, "MODULE_NOT_FOUND\n")
	s.call(t, a, "DELETE", packagesPath+"/wrap-ansi?language=javascript", nil).want(t, 204, nil)
	s.call(t, a, "POST", packagesPath, object{"language": "javascript", "package": "@noble/hashes"}).want(t, 201, nil)
	s.call(t, a, "DELETE", packagesPath+"/@noble%2Fhashes?language=javascript", nil).want(t, 204, nil)
	s.call(t, a, "POST", packagesPath, object{"language": "javascript", "package": "lodash@999"}).refused(t, 409, "unsatisfiable")
	// A user has separate lists of JavaScript packages and Python packages.
	a.run(t, "print(1)").prints(t, "1\n")
	session := a.openSession(t, object{"language": "javascript"})
	s.call(t, a, "PUT", packagesPath, object{"language": "javascript", "packages": []string{}}).want(t, 200, nil)
	a.execute(t, object{"sessionId": session.ID, "code": "console.log(typeof require('chalk'))"}).prints(t, "function\n")
}

func TestPackagesStreamProgress(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag())
	a := s.register(t)
	events := func(body object) (names []string, last string) {
		answer := s.callWithHeader(t, a.streamHeader(), "PUT", packagesPath, body)
		for lines := bufio.NewScanner(strings.NewReader(string(answer.body))); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				names = append(names, name)
			} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				last = data
			}
		}
		return names, last
	}
	names, last := events(object{"packages": []string{"likes-two"}})
	var l packageList
	if err := json.Unmarshal([]byte(last), &l); err != nil || len(names) < 4 || names[0] != "progress" || names[len(names)-1] != "end" {
		t.Errorf("got %v, %v", names, err)
	}
	l.want(t, "(base-lib 2.0), likes-two 1.0")
	var p problem
	names, last = events(object{"packages": []string{"no-such-package"}})
	if err := json.Unmarshal([]byte(last), &p); err != nil || names[len(names)-1] != "error" || p.Code != "unsatisfiable" {
		t.Errorf("got %v, %s", names, last)
	}
}

func TestPackagesHideIndexPassword(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	x.Credentials = "reader:canary-of-the-index"
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte(x.Credentials+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, x.Flag(), "--python-index-credentials-file="+file)
	a := s.register(t)
	a.setPackages(t, "likes-two").want(t, "(base-lib 2.0), likes-two 1.0")
	// Programs must not be able to connect to the package index, by any of its names.
	for _, rule := range []string{"packages:x", "packages.internal", strings.TrimPrefix(x.URL, "http://")} {
		answer := s.call(t, a, "POST", "/api/v1/execute", object{"code": "import os, urllib.request as u\ntry: print(u.urlopen('http://packages.internal/simple/base-lib/').status)\nexcept Exception as e: print('no')", "network": object{"allow": []string{rule}}})
		if answer.status == 200 && !strings.Contains(string(answer.body), `"stdout":"no\n"`) {
			t.Errorf("%s: %s", rule, answer.body)
		}
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Error("the log contains the canary")
	}
	wrong := startServer(t, x.Flag())
	wrong.call(t, wrong.register(t), "PUT", packagesPath, object{"packages": []string{"likes-two"}}).refused(t, 502, "index_unavailable")
}

func TestPackagesKeepListWhenIndexFails(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag())
	a := s.register(t)
	a.setPackages(t, "base-lib==1.0").want(t, "base-lib 1.0")
	x.Set(func() { x.Broken = true })
	s.call(t, a, "PUT", packagesPath, object{"packages": []string{"likes-two"}}).refused(t, 502, "index_unavailable")
	a.listPackages(t).want(t, "base-lib 1.0")
	a.run(t, "import base_lib\nprint(base_lib.VALUE)").prints(t, "one\n")
	var log struct {
		Entries []struct {
			Outcome string
			Details map[string]any
		}
	}
	s.call(t, a, "GET", "/api/v1/audit?action=packages.changed", nil).want(t, 200, &log)
	if len(log.Entries) != 2 || log.Entries[0].Outcome != "failure" || log.Entries[0].Details["reason"] != "index_unavailable" ||
		fmt.Sprint(log.Entries[1].Details) != "map[added:[base-lib 1.0] language:python removed:[]]" {
		t.Errorf("the audit log has %+v", log.Entries)
	}
	// Installed packages must work while the package index is not available.
	s.call(t, a, "DELETE", packagesPath+"/base-lib", nil).want(t, 204, nil)
}

func TestPackagesReinstallFromLockfile(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	s := startServerIn(t, data, nil, x.Flag())
	a := s.register(t)
	a.setPackages(t, "likes-two", "space-one==1").want(t, "(base-lib 2.0), likes-two 1.0, space-one 1")
	s.stop(t)
	// Simulate a new machine that has a copy of the database, but no packages. The
	// package index has a newer version, but the server must install the version in the
	// lockfile.
	if err := os.RemoveAll(filepath.Join(data, "packages")); err != nil {
		t.Fatal(err)
	}
	x.add(t, wheel{Name: "base-lib", Version: "3.0"})
	again := startServerIn(t, data, nil, x.Flag())
	a.server = again
	a.run(t, "import base_lib, space.one\nprint(base_lib.VALUE)").prints(t, "two\n")
	a.listPackages(t).want(t, "(base-lib 2.0), likes-two 1.0, space-one 1")
}

func TestPackagesKeepListAfterKill(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	s := startServerIn(t, data, nil, x.Flag())
	a := s.register(t)
	a.setPackages(t, "base-lib==1.0").want(t, "base-lib 1.0")
	count := func(dir string) int { return len(must(os.ReadDir(filepath.Join(data, "packages", dir)))(t)) }
	// afterDownloads returns a function. This function lets the server download n
	// wheels. Then it waits until the server requests the next wheel.
	afterDownloads := func(n int) func(chan struct{}) {
		return func(release chan struct{}) {
			for range n {
				<-x.Holding
				release <- struct{}{}
			}
			<-x.Holding
		}
	}
	// afterNewFile returns a function. This function lets the server continue. Then it
	// waits until the directory contains one more file.
	afterNewFile := func(dir string) func(chan struct{}) {
		return func(release chan struct{}) {
			before := count(dir)
			close(release)
			eventually(t, "there is a new file in "+dir, func() bool { return count(dir) > before })
		}
	}
	for i, moment := range []func(chan struct{}){afterDownloads(0), afterDownloads(1), afterNewFile("tmp"), afterNewFile("images"), afterNewFile("sets")} {
		slow, needed := fmt.Sprint("slow", i), fmt.Sprint("needed", i)
		x.add(t, wheel{Name: slow, Version: "1", Requires: []string{needed}, Files: map[string]string{slow + ".py": "import " + needed}},
			wheel{Name: needed, Version: "1", Files: map[string]string{needed + ".py": ""}})
		release := make(chan struct{})
		x.Set(func() { x.Hold = release })
		var waiting sync.WaitGroup
		waiting.Go(func() {
			_, _ = s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "PUT", packagesPath, object{"packages": []string{slow}})
		})
		moment(release)
		s.kill(t)
		waiting.Wait()
		x.Set(func() { x.Hold = nil })
		for len(x.Holding) > 0 {
			<-x.Holding
		}
		s = startServerIn(t, data, nil, x.Flag())
		a.server = s
		if count("tmp") > 0 || count("sets") != 2 {
			t.Errorf("moment %d: %d temporary files remain; the directory sets has %d entries, want 2", i, count("tmp"), count("sets"))
		}
		switch got := a.listPackages(t).String(); {
		case got == "base-lib 1.0":
			a.run(t, "import base_lib\nprint(base_lib.VALUE)").prints(t, "one\n")
		case i >= 3 && got == fmt.Sprintf("(%s 1), %s 1", needed, slow):
			// The server had completed the change before the server was killed.
			a.run(t, "import "+slow).prints(t, "")
			a.setPackages(t, "base-lib==1.0")
		default:
			t.Errorf("moment %d: unexpected packages %s", i, got)
		}
	}
}

func TestPackagesAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServerIn(t, data, attr, x.Flag())
	a := s.register(t)
	a.setPackages(t, "likes-two").want(t, "(base-lib 2.0), likes-two 1.0")
	a.run(t, "import base_lib\nprint(base_lib.VALUE)").prints(t, "two\n")
}

// TestGenerateInstallsMissingPackages generates programs that import missing packages.
// If the request allows it, the server must install these packages permanently. Then it
// must run the same program again without another request to the model.
func TestGenerateInstallsMissingPackages(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	program := claudetest.Program("prints", "import likes_two\nprint(likes_two.VALUE)")
	m := startModel(t, program)
	a := startServer(t, modelFlags(t, m, x.Flag())...).register(t)

	g := a.generate(t, object{"prompt": "print it", "maxAttempts": 1})
	if !slices.Equal(g.MissingPackages, []string{"likes-two"}) {
		t.Errorf("missing packages: %v", g.MissingPackages)
	}
	a.listPackages(t).want(t, "")

	m.Script(program)
	g = a.generate(t, object{"prompt": "print it", "maxAttempts": 1, "installPackages": true})
	if g.Execution.prints(t, "2\n"); len(g.MissingPackages) != 0 {
		t.Errorf("missing packages: %v", g.MissingPackages)
	}
	a.listPackages(t).want(t, "(base-lib 2.0), likes-two 1.0")
	a.run(t, "import likes_two\nprint(likes_two.VALUE)").prints(t, "2\n")
}
