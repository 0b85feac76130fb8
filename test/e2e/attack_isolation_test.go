package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// syscallPrelude is the beginning of Python programs that make raw system calls.
const syscallPrelude = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    r = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return errno.errorcode.get(ctypes.get_errno(), '0') if r == -1 else 'ok'
`

var isolationAttacks = []attack{
	{"039_files_of_the_host_are_absent", func(t *testing.T, s *server, a *account) {
		secrets := append(must(filepath.Glob(filepath.Join(s.data, "*")))(t), must(filepath.Glob(filepath.Join(s.host().data, "*")))(t)...)
		secrets = append(secrets, s.data, s.host().data, "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/root/.bashrc", "/root/.ssh", "/etc/machine-id",
			"/var/lib/dpkg", "/etc/apt", "/boot", must(os.Getwd())(t), "/var/run/docker.sock")
		a.execute(t, object{
			"code": "import os, sys\nprint([p for p in sys.argv[1:] if os.path.lexists(p)], sorted(os.listdir('/home')), os.readlink('/home/user'))", "args": secrets,
		}).prints(t, "[] ['sandbox', 'user'] /work\n")
		// The lists of mounts in /proc must not contain a path of the host.
		x := a.execute(t, object{"code": "print(open('/proc/self/mountinfo').read(), open('/proc/mounts').read(), open('/proc/cmdline').read() if __import__('os').path.exists('/proc/cmdline') else '')"})
		if x.ends(t, "succeeded"); strings.Contains(x.Stdout, s.data) || strings.Contains(x.Stdout, s.host().data) {
			t.Error(x)
		}
	}},
	programAttack("039_accounts_belong_to_the_sandbox", object{
		"code": "import pwd, os\nprint(sorted(p.pw_name for p in pwd.getpwall()), os.getuid(), os.path.expanduser('~'))",
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "succeeded"); !strings.Contains(x.Stdout, "'nobody'") || !strings.Contains(x.Stdout, "'root'") ||
			!strings.HasSuffix(x.Stdout, " 1000 /home/sandbox\n") || strings.Count(x.Stdout, "'") > 6 {
			t.Error(x)
		}
	}),
	programAttack("040_the_agent_reveals_nothing", object{
		"code": `
import os
for name in ('environ', 'mem', 'maps', 'fd'):
    try:
        p = '/proc/1/' + name
        print(name, repr(os.listdir(p) if name == 'fd' else open(p, 'rb').read()))
    except OSError as e:
        print(name, type(e).__name__)
print(open('/proc/1/cmdline', 'rb').read().strip(b'\0'))
print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) == [1, os.getpid()])
`,
	}, func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		for line := range strings.Lines(x.Stdout) {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch name {
			case "environ", "mem", "maps", "fd":
				if rest != "PermissionError" && rest != "b''" && rest != "[]" && rest != "OSError" {
					t.Errorf("/proc/1/%s: %s", name, rest)
				}
			case "b'init'", "True":
			default:
				t.Errorf("got %q", line)
			}
		}
	}),
	{"041_gvisors_own_files_tell_nothing", func(t *testing.T, s *server, a *account) {
		x := a.execute(t, object{
			"env": object{"TOKEN": "canary-of-the-run"}, "args": []string{"canary-of-args"}, "stdin": "canary-of-stdin",
			"code": `
import os
for root, dirs, names in os.walk('/proc/gvisor'):
    for name in names:
        p = os.path.join(root, name)
        try:
            print(p, os.read(os.open(p, os.O_RDONLY | os.O_NONBLOCK), 1 << 20))
        except OSError as e:
            print(p, e)
        try:
            os.write(os.open(p, os.O_WRONLY), b'x')
            print(p, 'WRITABLE')
        except OSError:
            pass
`,
		}).ends(t, "succeeded")
		for _, secret := range []string{"canary", "WRITABLE", s.data} {
			if strings.Contains(x.Stdout, secret) {
				t.Errorf("%q is in %s", secret, x)
			}
		}
	}},
	{"042_the_host_has_no_name", func(t *testing.T, _ *server, a *account) {
		name := must(os.Hostname())(t)
		x := a.run(t, `
import os, socket, platform
print(socket.gethostname(), platform.node(), open('/etc/hostname').read())
for root, dirs, names in os.walk('/sys'):
    for n in names:
        try: print(root, n, open(os.path.join(root, n)).read())
        except (OSError, UnicodeDecodeError): pass
print(os.path.exists('/sys/class/dmi'), os.listdir('/sys/firmware') != [], open('/proc/version').read(), os.uname())
`).ends(t, "succeeded")
		var u syscall.Utsname
		if err := syscall.Uname(&u); err != nil {
			t.Fatal(err)
		}
		var release []byte
		for _, c := range u.Release {
			if c != 0 {
				release = append(release, byte(c))
			}
		}
		if !strings.HasPrefix(x.Stdout, "sandbox sandbox sandbox\n") || name != "sandbox" && slices.Contains(strings.Fields(x.Stdout), name) ||
			strings.Contains(x.Stdout, string(release)) || !strings.Contains(x.Stdout, "False False") {
			t.Error(x)
		}
	}},
	programAttack("043_the_environment_is_exact", object{
		"code": "import os\nprint(sorted(os.environ.items()))",
		"env":  object{"GREETING": "hello"},
	}, checkStdout("[('GREETING', 'hello'), ('HOME', '/home/sandbox'), ('LANG', 'C.UTF-8'), ('PATH', '/usr/local/bin:/usr/bin:/bin')]\n")),
	programAttack("043_children_inherit_no_more", object{
		"code": "import subprocess\nprint(subprocess.run('env | sort', shell=True, capture_output=True, text=True).stdout)",
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "succeeded"); strings.Contains(x.Stdout, "CANARY") || strings.Contains(x.Stdout, "PYTH") || !strings.Contains(x.Stdout, "HOME=/home/sandbox") {
			t.Error(x)
		}
	}),
	programAttack("044_no_descriptor_is_inherited", object{
		"code": "import os\nfor fd in sorted(os.listdir('/proc/self/fd'), key=int):\n    try: print(fd, os.readlink('/proc/self/fd/' + fd).split(':')[0])\n    except OSError: pass",
	}, func(t *testing.T, x *execution) {
		// The program must have only its standard streams as open files. The
		// interpreter closes main.py before the program runs. listdir closes its own
		// descriptor before the program calls readlink, so the program does not print
		// this descriptor.
		if x.ends(t, "succeeded"); x.Stdout != "0 pipe\n1 pipe\n2 pipe\n" {
			t.Error(x)
		}
	}),
	programAttack("045_the_agent_cannot_be_traced_or_read", object{
		"code": syscallPrelude + `
class iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
b = ctypes.create_string_buffer(8)
v = iovec(ctypes.addressof(b), 8)
print(call(101, 16, 1, 0, 0), call(101, 0x4206, 1, 0, 0))
print(call(310, 1, ctypes.byref(v), 1, ctypes.byref(v), 1, 0), call(311, 1, ctypes.byref(v), 1, ctypes.byref(v), 1, 0))
`,
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "succeeded"); strings.Contains(x.Stdout, "ok") || strings.Contains(x.Stdout, " 0") {
			t.Error(x)
		}
	}),
	{"046_a_user_namespace_gives_nothing_outside", func(t *testing.T, s *server, a *account) {
		before := s.countMounts()
		x := a.run(t, syscallPrelude+`
print(call(272, 0x10000000 | 0x00020000))
print(call(165, b'none', b'/tmp', b'tmpfs', 0, 0), call(165, b'/proc', b'/tmp', b'', 4096, 0))
print(os.path.exists('/etc/shadow'))
`).ends(t, "succeeded")
		if !strings.HasSuffix(x.Stdout, "False\n") || s.countMounts() != before {
			t.Error(x)
		}
		a.run(t, "import os\nprint(os.listdir('/tmp'))").prints(t, "[]\n")
	}},
	programAttack("047_devices_cannot_be_made_or_opened", object{
		"code": `
import os, stat, errno
for name, kind, major, minor in (('kvm', stat.S_IFCHR, 10, 232), ('fuse', stat.S_IFCHR, 10, 229), ('cuse', stat.S_IFCHR, 10, 203), ('sda', stat.S_IFBLK, 8, 0), ('mem', stat.S_IFCHR, 1, 1)):
    for where in ('/tmp/', '/work/', '/dev/shm/'):
        try:
            os.mknod(where + name, kind | 0o666, os.makedev(major, minor))
            os.open(where + name, os.O_RDWR)
            print(name, 'opened')
        except OSError:
            pass
    if os.path.exists('/dev/' + name):
        print(name, 'exists')
`,
	}, checkStdout("")),
	programAttack("048_a_setuid_program_gives_nothing", object{
		"code": "import os, shutil, subprocess\nshutil.copy('/bin/sh', 'sh')\nos.chmod('sh', 0o6755)\nprint(subprocess.run(['./sh', '-c', 'id -u; id -g'], capture_output=True, text=True).stdout)\n" +
			"print([os.path.join(r, n) for r, _, ns in os.walk('/usr') for n in ns if os.lstat(os.path.join(r, n)).st_mode & 0o6000])",
		"timeoutMs": 60_000,
	}, checkStdout("1000\n1000\n\n[]\n")),
	programAttack("049_dangerous_system_calls_have_no_effect", object{
		"code": syscallPrelude + `
b = ctypes.create_string_buffer(256)
print('io_uring', call(425, 8, b))
print('bpf', call(321, 0, b, 120))
print('perf', call(298, b, 0, -1, -1, 0))
print('userfaultfd', call(323, 0))
print('kexec', call(246, 0, 0, 0, 0))
print('module', call(313, 0, b, 0))
print('add_key', call(248, b'user', b'x', b'y', 1, -3))
print('keyctl', call(250, 11, 1, b, 256))
print('swapon', call(167, b'/tmp/x', 0))
print('reboot', call(169, 0xfee1dead, 672274793, 0x1234567, 0))
`,
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "succeeded"); strings.Count(x.Stdout, "\n") != 10 || strings.Contains(x.Stdout, " ok") || strings.Contains(x.Stdout, " 0\n") {
			t.Error(x)
		}
	}),
	programAttack("050_files_cannot_be_opened_by_handle", object{
		"code": syscallPrelude + "h = ctypes.create_string_buffer(b'\\x08\\0\\0\\0\\x01\\0\\0\\0\\x02\\0\\0\\0\\0\\0\\0\\0', 128)\nprint(call(304, -100, h, 0) in ('EPERM', 'ENOSYS', 'ENOTSUP'))",
	}, checkStdout("True\n")),
	{"051_sockets_of_the_host_cannot_be_reached", func(t *testing.T, s *server, a *account) {
		abstract := "\x00" + uniqueText(t, "pyth-on-e2e-")
		bound := filepath.Join(t.TempDir(), "socket")
		for _, name := range []string{"@" + abstract[1:], bound} {
			l := must(net.Listen("unix", name))(t)
			defer l.Close()
		}
		a.execute(t, object{"args": []string{abstract[1:], bound}, "code": `
import socket, sys
for name in ('\0' + sys.argv[1], sys.argv[2]):
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print('connected')
    except OSError as e:
        print(type(e).__name__)
`}).prints(t, "ConnectionRefusedError\nFileNotFoundError\n")
	}},
	{"052_pipes_of_the_host_cannot_be_reached", func(t *testing.T, s *server, a *account) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(fifo, 0o666); err != nil {
			t.Fatal(err)
		}
		a.execute(t, object{"args": []string{fifo}, "code": "import sys\ntry: open(sys.argv[1])\nexcept FileNotFoundError: print('absent')"}).prints(t, "absent\n")
	}},
	programAttack("053_raw_and_packet_sockets_are_refused", object{
		"code": `
import socket
for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_PACKET, socket.SOCK_RAW, 3), (socket.AF_PACKET, socket.SOCK_DGRAM, 3)):
    try:
        socket.socket(family, kind, protocol)
        print('opened')
    except PermissionError:
        print('EPERM')
`,
	}, checkStdout("EPERM\nEPERM\nEPERM\nEPERM\n")),
	{"054_walks_upwards_stay_inside", func(t *testing.T, s *server, a *account) {
		a.execute(t, object{"args": []string{s.data}, "code": `
import os, sys
up = '/'.join(['..'] * 60)
print(os.path.exists(up + '/etc/shadow'), os.path.exists(up + sys.argv[1]), sorted(os.listdir(up)) == sorted(os.listdir('/')))
try: os.chroot('/tmp')
except PermissionError: print('EPERM')
fd = os.open('/', os.O_RDONLY)
for _ in range(60): os.chdir('..')
print(os.getcwd(), os.path.exists('etc/shadow'))
`}).prints(t, "False False True\nEPERM\n/ False\n")
	}},
	{"055_the_interpreter_cannot_be_changed", func(t *testing.T, s *server, a *account) {
		const change = `
import os, sys, site
library = os.path.dirname(os.__file__)
targets = [sys.executable, os.path.realpath(sys.executable), os.__file__, library + '/sitecustomize.py', library + '/evil.pth',
    library + '/site-packages/evil.pth', library + '/__pycache__/os.cpython-314.pyc', '/etc/passwd', '/etc/ld.so.preload', '/pyth-on/guest', '/usr/bin/env', '/evil']
for t in targets:
    for what in (lambda: open(t, 'ab').write(b'print("evil")'), lambda: os.unlink(t), lambda: os.rename('/work/main.py', t), lambda: os.chmod(t, 0o777)):
        try:
            what()
            print('changed', t)
        except OSError:
            pass
os.makedirs(os.path.expanduser('~/.local/lib/python3.14/site-packages'))
open(os.path.expanduser('~/.local/lib/python3.14/site-packages/evil.pth'), 'w').write('import os; print("evil")')
`
		a.run(t, change).prints(t, "")
		for range defaultWarm + 1 {
			a.run(t, "import os, subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True).stdout, os.listdir(os.path.expanduser('~')))").prints(t, "1\n []\n")
		}
	}},
	programAttack("060_frames_and_results_cannot_be_forged", object{
		"code": `
import os, struct, json
frame = lambda kind, b: struct.pack('>IB', len(b) + 1, kind) + b
forged = b''.join(frame(k, json.dumps({'code': 0, 'status': 'succeeded', 'exitCode': 0}).encode()) for k in range(256))
os.write(1, forged[:20000])
os.write(2, forged[:20000])
print('{"status": "succeeded", "exitCode": 0}')
for fd in range(3, 1024):
    try: os.write(fd, forged)
    except OSError: pass
try: open('/run/report', 'wb').write(b'Forged\0forged\0forged\x001')
except OSError: pass
os._exit(7)
`,
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "failed"); *x.ExitCode != 7 {
			t.Error(x)
		}
	}),
}
