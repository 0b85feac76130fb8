package e2e_test

import (
	"fmt"
	"testing"
)

// namespaceFlags maps each kind of namespace to its flag for clone(2) and unshare(2).
var namespaceFlags = map[string]int{
	"user": 0x10000000, "mount": 0x00020000, "network": 0x40000000, "IPC": 0x08000000, "UTS": 0x04000000,
	"PID": 0x20000000, "cgroup": 0x02000000, "user and mount": 0x10020000, "all": 0x7e020000,
}

// TestExecuteRefusesNamespaces tries to create each kind of namespace with each system
// call. It tries this in the program and in child processes of the program.
func TestExecuteRefusesNamespaces(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	for name, s := range map[string]*server{"root": sharedServer(t), "an ordinary user": startServerIn(t, data, attr)} {
		t.Run("a server of "+name, func(t *testing.T) {
			a := s.register(t)
			code := syscallPrelude + "import struct\nall = set()\n"
			for _, flags := range namespaceFlags {
				code += fmt.Sprintf(`
all.add(call(272, %[1]d))
all.add(call(56, %[1]d | 17, 0, 0, 0, 0))
args = struct.pack('11Q', %[1]d, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
all.add(call(435, args, 88))
all.add(call(435, args, 64))
`, flags)
			}
			code += `
all.add(call(272, 0x80))
all.add(call(435, struct.pack('11Q', 0x80, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88))
for ns in os.listdir('/proc/self/ns'):
    try:
        all.add(call(308, os.open('/proc/self/ns/' + ns, os.O_RDONLY), 0))
    except OSError as e:
        pass
all.add(call(308, libc.syscall(434, os.getpid(), 0), 0x00020000))
print(all)
import subprocess, threading
mounts = [call(165, b'none', b'/tmp', b'tmpfs', 0, 0), call(165, b'none', b'/tmp', b'devtmpfs', 0, 0), call(155, b'/', b'/tmp'), call(166, b'/tmp', 0), call(430, b'tmpfs', 0), call(161, b'/tmp')]
print(mounts, os.path.exists('/dev/fuse'), os.path.exists('/dev/net/tun'))
ok = []
t = threading.Thread(target=lambda: ok.append(os.posix_spawn('/bin/true', ['true'], {})))
t.start(); t.join()
print(call(272, 0x200 | 0x400), subprocess.check_output(['echo', 'fine']), len(ok))
`
			want := "{'EPERM'}\n['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM'] False False\nok b'fine\\n' 1\n"
			for _, isolation := range []string{"tenant", "execution"} {
				a.execute(t, object{"code": code, "isolation": isolation}).prints(t, want)
			}
			a.openSession(t, object{}).runCode(t, code).prints(t, want)
		})
	}
}

// TestExecuteCountsAllStoredData checks that programs cannot store extended attributes.
// Extended attributes do not count towards the size limit of the disk, so programs could
// store data without a limit.
func TestExecuteCountsAllStoredData(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const xattrs = `
import errno, os, shutil, subprocess
open('f', 'w').close()
for target in 'f', '.', '/tmp', os.open('f', os.O_RDWR):
    for name in 'user.x', 'user.' + 'n' * 200, 'trusted.x', 'system.posix_acl_access':
        try:
            os.setxattr(target, name, b'x' * 1000)
            print('stored')
        except OSError as e:
            if e.errno != errno.ENOTSUP: print(name, e)
print(os.listxattr('f'))
shutil.copy2('f', 'g')
subprocess.run('cp -a f h && tar cf - f | tar xf - -C /tmp', shell=True, check=True)
print(sorted(os.listdir('.')))
`
	want := "[]\n['f', 'g', 'h', 'main.py']\n"
	a.run(t, xattrs).prints(t, want)
	a.openSession(t, object{}).runCode(t, xattrs).prints(t, "[]\n['f', 'g', 'h']\n")
}

// TestExecuteLimitsFileNames creates files until the maximum number of file names is
// reached. Then it removes a file in different ways. After each removal, the program
// must be able to create one more file.
func TestExecuteLimitsFileNames(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const code = `
import errno, os
def link(target, prefix, most):
    try:
        for i in range(most): os.link(target, f'{prefix}{i}')
    except OSError as e:
        return i, errno.errorcode[e.errno]
    return most, None
def room():
    made, _ = link('f0', 'room', 20)
    for i in range(made): os.unlink(f'room{i}')
    return made
for i in range(4):
    open(f'f{i}', 'w').close()
os.mkdir('d')
print(sum(link(f'f{i}', f'd/{i}-', 30_000)[0] for i in range(4)), link('f1', '/work/x', 1), room())
os.unlink('d/0-0'); print(room())
os.unlink('0-1', dir_fd=os.open('d', os.O_RDONLY)); print(room())
open('other', 'w').close(); os.rename('other', 'd/0-2'); print(room())
os.rename('d/0-3', 'moved'); print(room())
os.rename('moved', 'moved'); print(room())
open('other', 'w').close(); os.unlink('other'); print(room())
for missing in 'd/none', 'd/0-9/x', 'd', '':
    try: os.unlink(missing)
    except OSError as e: print(errno.errorcode[e.errno], end=' ')
print(room())
for name in os.listdir('d'): os.unlink('d/' + name)
print(link('f2', 'd/again', 100), os.stat('f2').st_nlink)
`
	const want = "65536 (0, 'ENOSPC') 0\n1\n2\n3\n3\n3\n3\nENOENT ENOTDIR EISDIR ENOENT 3\n(100, None) 101\n"
	a.run(t, code).prints(t, want)
	a.execute(t, object{"code": code, "isolation": "execution"}).prints(t, want)
	// The next run must again be able to create the maximum number of file names.
	a.run(t, code).prints(t, want)
	a.openSession(t, object{}).runCode(t, code).prints(t, want)
	a.execute(t, object{"language": "javascript", "code": `
const fs = require('fs');
fs.writeFileSync('f', '');
let made = 0;
try { for (; made < 100_000; made++) fs.linkSync('f', 'l' + made); } catch (e) { console.log(made, e.code); }`}).prints(t, "65536 ENOSPC\n")
}

// TestExecuteCountsFileNamesInRaces creates and removes the same file names in parallel
// processes. The sandbox must still count the file names correctly.
func TestExecuteCountsFileNamesInRaces(t *testing.T) {
	t.Parallel()
	const code = `
import os, random
open('f', 'w').close()
def race(seed):
    r = random.Random(seed)
    for _ in range(3000):
        a, b = (f'n{r.randrange(5)}' for _ in range(2))
        try: r.choice([lambda: os.link('f', a), lambda: os.unlink(a), lambda: os.rename(a, b), lambda: open(a, 'x').close()])()
        except OSError: pass
os.link('f', 'held')
children = []
for i in range(4):
    if (child := os.fork()) == 0:
        race(i)
        os._exit(0)
    children.append(child)
for child in children: os.waitpid(child, 0)
for i in range(5):
    try: os.unlink(f'n{i}')
    except OSError: pass
made = 1
try:
    while True:
        os.link('f', f'x{made}')
        made += 1
except OSError: print(made)
`
	sharedServer(t).register(t).run(t, code).prints(t, "65536\n")
}
