package e2e_test

import (
	"testing"
)

// javaScriptFileAttacks contains the attacks of fileAttacks as Node programs.
var javaScriptFileAttacks = []attack{
	{"061_input_paths_for_node_stay_inside", func(t *testing.T, s *server, a *account) {
		s.refusesPathsOutside(t, a, javaScriptRequest("1", nil))
	}},
	{"062_input_files_for_node_do_not_contradict_each_other", func(t *testing.T, s *server, a *account) {
		s.refusesContradictions(t, a, javaScriptRequest("1", nil), "main.js")
	}},
	programAttack("063_links_that_node_made_are_skipped", javaScriptRequest(`
const fs = require('fs');
fs.symlinkSync('/etc/passwd', 'a');
fs.symlinkSync('../../../../etc/passwd', 'b');
fs.symlinkSync('main.js', 'c');
fs.symlinkSync('/etc', 'dir');
fs.writeFileSync('real', 'real');`, object{"outputFiles": []string{"**", "dir/*"}}), checkLinksSkipped),
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
			checkHonest(t, x)
		}
	}},
	programAttack("065_what_node_left_that_is_no_file_is_skipped", javaScriptRequest(`
require('child_process').execFileSync('python3', ['-c', 'import os; os.mkfifo("fifo")']);
require('fs').mkdirSync('directory');
require('net').createServer().listen('socket', () => process.exit());`, object{"outputFiles": []string{"*"}}), checkSpecialFilesSkipped),
	programAttack("066_system_files_cannot_be_linked_by_node", javaScriptRequest(`
for (const f of ['/etc/passwd', process.execPath, '/usr/bin/env'])
	try { require('fs').linkSync(f, 'x'); console.log('linked'); } catch { console.log('refused'); }`, nil), checkStdout("refused\nrefused\nrefused\n")),
	programAttack("067_names_by_node_that_could_deceive_are_reported_without_harm", javaScriptRequest(`
const names = [Buffer.from('bad\xff', 'latin1'), 'new\nline', 'evil\u202egpj.exe', 'tab\t', 'esc\x1b[31m', 'n'.repeat(255), 'ok', 'back\\slash', 'caf\u00e9'];
for (const name of names) require('fs').writeFileSync(name, 'x');`, object{"outputFiles": []string{"**"}}), checkDeceptiveNames),
	programAttack("068_each_link_that_node_made_to_one_file_counts", javaScriptRequest(`
const fs = require('fs');
fs.writeFileSync('f0', Buffer.alloc(1 << 20));
for (let i = 1; i < 50; i++) fs.linkSync('f0', 'f' + i);
fs.writeFileSync('big', Buffer.alloc(32 << 20));
for (let i = 0; i < 50; i++) fs.linkSync('big', 'b' + i);`, object{"outputFiles": []string{"*"}}), checkLinkedFilesCounted),
}
