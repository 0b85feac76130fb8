package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

var fileAttacks = []attack{
	{"061_input_paths_stay_inside", func(t *testing.T, s *server, a *account) {
		for _, path := range []string{"../x", "/x", "a\x00b", "a/../../b", "", ".", "..", "a/./b", "a//b", "a/", "./a", strings.Repeat("d/", 600) + "f"} {
			p := s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "files": []object{{"path": path, "content": ""}}}).refused(t, 400, "invalid_request")
			if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, "body.files[0].path") {
				t.Errorf("%q: %+v", path, p)
			}
		}
	}},
	{"062_input_files_do_not_contradict_each_other", func(t *testing.T, s *server, a *account) {
		for _, paths := range [][]string{{"d", "d/f"}, {"d/f", "d"}, {"x", "x"}, {"main.py", "y"}} {
			var files []object
			for _, p := range paths {
				files = append(files, object{"path": p, "content": ""})
			}
			s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "files": files}).refused(t, 400, "invalid_request")
		}
	}},
	programAttack("063_links_are_skipped", object{
		"code": "import os\nos.symlink('/etc/passwd', 'a')\nos.symlink('../../../../etc/passwd', 'b')\nos.symlink('main.py', 'c')\n" +
			"os.symlink('/etc', 'dir')\nopen('real', 'w').write('real')",
		"outputFiles": []string{"**", "dir/*"},
	}, func(t *testing.T, x *execution) {
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
	{"064_a_file_that_is_swapped_for_a_link_is_not_followed", func(t *testing.T, s *server, a *account) {
		for range 5 {
			x := a.execute(t, object{"outputFiles": []string{"out", "d/passwd"}, "code": `
import os, time
os.mkdir('d'); open('d/passwd', 'w').write('honest')
if os.fork() == 0:
    os.setsid()
    while True:
        open('tmp', 'w').write('honest'); os.replace('tmp', 'out')
        os.symlink('/etc/passwd', 'tmp'); os.replace('tmp', 'out')
        os.rename('d', 'e'); os.symlink('/etc', 'd'); os.unlink('d'); os.rename('e', 'd')
time.sleep(0.05)
`}).ends(t, "succeeded")
			for _, f := range x.Files {
				if f.Content != "honest" && f.Content != "" {
					t.Errorf("%s holds %q", f.Path, f.Content)
				}
			}
		}
	}},
	programAttack("065_other_types_than_files_are_skipped", object{
		"code":        "import os, socket\nos.mkfifo('fifo')\ns = socket.socket(socket.AF_UNIX)\ns.bind('socket')\nos.mkdir('directory')",
		"outputFiles": []string{"*"},
	}, func(t *testing.T, x *execution) {
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
	programAttack("066_system_files_cannot_be_linked", object{
		"code": "import os\nfor f in ('/etc/passwd', '/usr/local/bin/python3', '/usr/bin/env'):\n    try:\n        os.link(f, 'x')\n        print('linked')\n    except OSError as e:\n        print('refused')",
	}, checkStdout("refused\nrefused\nrefused\n")),
	programAttack("067_deceptive_names_are_reported_escaped", object{
		"code": `
import os
for name in (b'bad\xff', b'new\nline', 'evil\u202egpj.exe'.encode(), b'tab\t', b'esc\x1b[31m', b'n' * 255, b'ok', b'back\\slash', 'caf\u00e9'.encode()):
    with open(name, 'w') as f: f.write('x')
`,
		"outputFiles": []string{"**"},
	}, func(t *testing.T, x *execution) {
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
	programAttack("068_each_link_to_one_file_counts", object{
		"code":        "import os\nopen('f0', 'wb').write(bytes(1 << 20))\nfor i in range(1, 50): os.link('f0', f'f{i}')\nopen('big', 'wb').write(bytes(32 << 20))\nfor i in range(50): os.link('big', f'b{i}')",
		"outputFiles": []string{"*"},
	}, func(t *testing.T, x *execution) {
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

var networkAttacks = []attack{
	programAttack("069_nothing_can_be_reached", object{"code": `
import socket
def tries(what, f):
    try:
        f()
        print(what, 'REACHED')
    except OSError as e:
        print(what, 'refused')
def connect(host, port, family=socket.AF_INET):
    s = socket.socket(family)
    s.settimeout(3)
    s.connect((host, port))
tries('address', lambda: connect('1.1.1.1', 443))
tries('metadata', lambda: connect('169.254.169.254', 80))
tries('private', lambda: connect('10.0.0.1', 80))
tries('ipv6', lambda: connect('2606:4700:4700::1111', 443, socket.AF_INET6))
tries('names', lambda: socket.getaddrinfo('example.org', 443))
tries('dns', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53)))
`}, checkStdout("address refused\nmetadata refused\nprivate refused\nipv6 refused\nnames refused\ndns refused\n")),
	{"069_the_servers_own_loopback_is_another", func(t *testing.T, s *server, a *account) {
		port := s.URL[strings.LastIndexByte(s.URL, ':')+1:]
		a.run(t, fmt.Sprintf("import socket\ntry:\n    socket.create_connection(('127.0.0.1', %s), 3)\nexcept ConnectionRefusedError:\n    print('refused')", port)).prints(t, "refused\n")
	}},
	programAttack("069_loopback_inside_works", object{"code": `
import socket
s = socket.create_server(('127.0.0.1', 0))
c = socket.create_connection(s.getsockname())
c.send(b'hello')
print(s.accept()[0].recv(5), socket.gethostbyname('localhost'))
`}, checkStdout("b'hello' 127.0.0.1\n")),
}
