package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// javaScriptFileAttacks repeats fileAttacks with Node programs.
var javaScriptFileAttacks = []attack{
	{"061_input_paths_for_node_stay_inside", func(t *testing.T, s *server, a *account) {
		for _, path := range []string{"../x", "/x", "a\x00b", "a/../../b", "", ".", "..", "a/./b", "a//b", "a/", "./a", strings.Repeat("d/", 600) + "f"} {
			request := javaScriptRequest("1", object{"files": []object{{"path": path, "content": ""}}})
			p := s.call(t, a, "POST", "/api/v1/execute", request).refused(t, 400, "invalid_request")
			if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, "body.files[0].path") {
				t.Errorf("%q: %+v", path, p)
			}
		}
	}},
	{"062_input_files_for_node_do_not_contradict_each_other", func(t *testing.T, s *server, a *account) {
		for _, paths := range [][]string{{"d", "d/f"}, {"d/f", "d"}, {"x", "x"}, {"main.js", "y"}} {
			var files []object
			for _, p := range paths {
				files = append(files, object{"path": p, "content": ""})
			}
			s.call(t, a, "POST", "/api/v1/execute", javaScriptRequest("1", object{"files": files})).refused(t, 400, "invalid_request")
		}
	}},
	programAttack("063_links_that_node_made_are_skipped", javaScriptRequest(`
const fs = require('fs');
fs.symlinkSync('/etc/passwd', 'a');
fs.symlinkSync('../../../../etc/passwd', 'b');
fs.symlinkSync('main.js', 'c');
fs.symlinkSync('/etc', 'dir');
fs.writeFileSync('real', 'real');`, object{"outputFiles": []string{"**", "dir/*"}}), func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		if len(x.Files) != 1 || string(x.fileContent(t, "real")) != "real" {
			t.Errorf("%+v", x.Files)
		}
		for _, name := range []string{"a", "b", "c", "dir"} {
			if !strings.Contains(x.skipReason(name), "link") {
				t.Errorf("%s is skipped because %q", name, x.skipReason(name))
			}
		}
	}),
	{"064_a_file_that_node_swaps_for_a_link_is_not_followed", func(t *testing.T, s *server, a *account) {
		for range 5 {
			x := a.execute(t, javaScriptRequest(`
const fs = require('fs');
fs.mkdirSync('d');
fs.writeFileSync('d/passwd', 'honest');
const swap = () => {
	const fs = require('fs');
	for (let n = 0; ; n++) {
		fs.writeFileSync('tmp', 'honest'); fs.renameSync('tmp', 'out');
		fs.symlinkSync('/etc/passwd', 'tmp'); fs.renameSync('tmp', 'out');
		fs.renameSync('d', 'e'); fs.symlinkSync('/etc', 'd'); fs.unlinkSync('d'); fs.renameSync('e', 'd');
		if (n === 10) fs.writeFileSync('swapping', '');
	}
};
require('child_process').spawn(process.execPath, ['-e', '(' + swap + ')()'], {detached: true, stdio: 'ignore'}).unref();
while (!fs.existsSync('swapping'));`, object{"outputFiles": []string{"out", "d/passwd"}})).ends(t, "succeeded")
			for _, f := range x.Files {
				if f.Content != "honest" && f.Content != "" {
					t.Errorf("%s holds %q", f.Path, f.Content)
				}
			}
		}
	}},
	programAttack("065_what_node_left_that_is_no_file_is_skipped", javaScriptRequest(`
require('child_process').execFileSync('python3', ['-c', 'import os; os.mkfifo("fifo")']);
require('fs').mkdirSync('directory');
require('net').createServer().listen('socket', () => process.exit());`, object{"outputFiles": []string{"*"}}), func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		for _, name := range []string{"fifo", "socket"} {
			if !strings.Contains(x.skipReason(name), "not a regular file") {
				t.Errorf("%s is skipped because %q", name, x.skipReason(name))
			}
		}
		if len(x.Files) != 0 {
			t.Errorf("%+v", x.Files)
		}
	}),
	programAttack("066_system_files_cannot_be_linked_by_node", javaScriptRequest(`
for (const f of ['/etc/passwd', process.execPath, '/usr/bin/env'])
	try { require('fs').linkSync(f, 'x'); console.log('linked'); } catch { console.log('refused'); }`, nil), checkStdout("refused\nrefused\nrefused\n")),
	programAttack("067_names_by_node_that_could_deceive_are_reported_without_harm", javaScriptRequest(`
const names = [Buffer.from('bad\xff', 'latin1'), 'new\nline', 'evil\u202egpj.exe', 'tab\t', 'esc\x1b[31m', 'n'.repeat(255), 'ok', 'back\\slash', 'caf\u00e9'];
for (const name of names) require('fs').writeFileSync(name, 'x');`, object{"outputFiles": []string{"**"}}), func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		for _, name := range []string{strings.Repeat("n", 255), "ok", "back\\slash", "café"} {
			if string(x.fileContent(t, name)) != "x" {
				t.Errorf("%q is not returned", name)
			}
		}
		if len(x.Files) != 4 || len(x.FilesSkipped) != 5 {
			t.Errorf("%+v %+v", x.Files, x.FilesSkipped)
		}
		for _, f := range x.FilesSkipped {
			if strings.ContainsAny(f.Path, "\n\t\x1b\u202e") {
				t.Errorf("%q", f.Path)
			}
		}
	}),
	programAttack("068_each_link_that_node_made_to_one_file_counts", javaScriptRequest(`
const fs = require('fs');
fs.writeFileSync('f0', Buffer.alloc(1 << 20));
for (let i = 1; i < 50; i++) fs.linkSync('f0', 'f' + i);
fs.writeFileSync('big', Buffer.alloc(32 << 20));
for (let i = 0; i < 50; i++) fs.linkSync('big', 'b' + i);`, object{"outputFiles": []string{"*"}}), func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		total := 0
		for _, f := range x.Files {
			total += len(must(base64.StdEncoding.DecodeString(f.Content))(t))
		}
		if total > 10*mib || len(x.Files) != 10 || len(x.FilesSkipped) != 91 {
			t.Errorf("%d files of %d bytes, %d skipped", len(x.Files), total, len(x.FilesSkipped))
		}
	}),
}
