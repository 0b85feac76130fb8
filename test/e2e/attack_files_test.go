package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

var fileAttacks = []attack{
	{"061_input_paths_stay_inside", func(t *testing.T, s *server, a *account) {
		s.refusesPathsOutside(t, a, object{"code": "1"})
	}},
	{"062_input_files_do_not_contradict_each_other", func(t *testing.T, s *server, a *account) {
		s.refusesContradictions(t, a, object{"code": "1"}, "main.py")
	}},
	programAttack("063_links_are_skipped", object{
		"code": "import os\nos.symlink('/etc/passwd', 'a')\nos.symlink('../../../../etc/passwd', 'b')\nos.symlink('main.py', 'c')\n" +
			"os.symlink('/etc', 'dir')\nopen('real', 'w').write('real')",
		"outputFiles": []string{"**", "dir/*"},
	}, checkLinksSkipped),
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
			checkHonest(t, x)
		}
	}},
	programAttack("065_other_types_than_files_are_skipped", object{
		"code":        "import os, socket\nos.mkfifo('fifo')\ns = socket.socket(socket.AF_UNIX)\ns.bind('socket')\nos.mkdir('directory')",
		"outputFiles": []string{"*"},
	}, checkSpecialFilesSkipped),
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
	}, checkDeceptiveNames),
	programAttack("068_each_link_to_one_file_counts", object{
		"code":        "import os\nopen('f0', 'wb').write(bytes(1 << 20))\nfor i in range(1, 50): os.link('f0', f'f{i}')\nopen('big', 'wb').write(bytes(32 << 20))\nfor i in range(50): os.link('big', f'b{i}')",
		"outputFiles": []string{"*"},
	}, checkLinkedFilesCounted),
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
