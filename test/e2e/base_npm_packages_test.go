package e2e_test

import (
	"strings"
	"testing"
)

// TestBaseNPMPackagesReachAllUsers uses the registry from npm's configuration.
func TestBaseNPMPackagesReachAllUsers(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	flags := []string{x.Flag(), "--base-packages=npm:wrap-ansi@^7,npm:@noble/hashes,space-one", "--warm-node=1"}
	s := startServerIn(t, data, nil, flags...)
	if log := s.log.String(); !strings.Contains(log, "Base packages of npm (install): wrap-ansi 7.") || !strings.Contains(log, "Base packages (install): space-one 1") {
		t.Errorf("no progress in the log: %s", log)
	}
	a, b := s.register(t), s.register(t)
	javaScript := func(as *account, code string) *execution {
		t.Helper()
		return as.execute(t, object{"language": "javascript", "code": code})
	}
	const require = "const wrap = require('wrap-ansi')\nconsole.log(wrap('a b', 1), typeof require('@noble/hashes/utils.js').bytesToHex)"
	b.execute(t, object{"language": "javascript", "code": require, "isolation": "execution"}).prints(t, "a\nb function\n")
	javaScript(b, require).prints(t, "a\nb function\n")
	b.execute(t, object{"language": "typescript", "code": "import wrap from 'wrap-ansi'\nconst text: string = wrap('a b', 1)\nconsole.log(text)"}).prints(t, "a\nb\n")
	b.openSession(t, object{"language": "javascript"}).runCode(t, require).prints(t, "a\nb function\n")
	b.run(t, "import space.one\nprint(space.one.VALUE)").prints(t, "1\n")
	b.listPackages(t).want(t, "")

	// The user installs another version of a dependency. Programs of the user import this
	// version, and the base package keeps its own version.
	a.server.call(t, a, "PUT", packagesPath, object{"language": "javascript", "packages": []string{"ansi-styles@^6"}}).want(t, 200, nil)
	versions := require + "\nconsole.log(JSON.parse(require('fs').readFileSync('/node_modules/ansi-styles/package.json')).version.split('.')[0])"
	javaScript(a, versions).prints(t, "a\nb function\n6\n")
	javaScript(b, versions).prints(t, "a\nb function\n4\n")
	a.server.call(t, a, "PUT", packagesPath, object{"language": "javascript", "packages": []string{}}).want(t, 200, nil)
	javaScript(a, versions).prints(t, "a\nb function\n4\n")
	s.stop(t)

	// After a restart, the server needs no registry, because the files are stored.
	s = startServerIn(t, data, nil, append(flags, "--npm-registry=http://127.0.0.1:1")...)
	javaScript(b.on(s), require).prints(t, "a\nb function\n")
	s.stop(t)

	s = startServerIn(t, data, nil, x.Flag(), "--base-packages=space-one")
	javaScript(b.on(s), "try { require('wrap-ansi') } catch (e) { console.log(e.code) }").prints(t, "MODULE_NOT_FOUND\n")
	s.stop(t)

	code, out := runServeUntilExit(t, append(npmRegistry(), "--addr=127.0.0.1:0", "--data-dir="+data, x.Flag(), "--base-packages=npm:lodash@999")...)
	if code != 1 || !strings.Contains(out, "install the base packages lodash@999") || !strings.Contains(out, "change --base-packages") {
		t.Errorf("%d: %s", code, out)
	}
}
