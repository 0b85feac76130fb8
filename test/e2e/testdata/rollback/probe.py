"""Prints what a program can see of its process, without what differs between processes."""
import fcntl, os, resource, signal, socket, sys, threading, time

# The mappings come first: what the program reads later has different sizes, such as
# numbers of inodes and mounts, and its heap grows with them.
if 'maps' in sys.argv:
    for line in open('/proc/self/smaps'):
        if '-' in line.split()[0]: shown = '[usertrap]' not in line
        if shown and ('-' in line.split()[0] or line.startswith(('VmFlags', 'Rss'))): print('map', line, end='')
    print('map', [l for l in open('/proc/self/status') if l.startswith('Vm')])
    print('map', open('/proc/self/io').read().split())
print('modules', sorted(sys.modules))
print('interpreter', sys.path, sys.argv, sys.getrecursionlimit(), sys.getswitchinterval(), sys.stdout.encoding)
print('hooks', len(sys.meta_path), len(sys.path_hooks), sys.excepthook is sys.__excepthook__)
print('environment', sorted(os.environ.items()))
print('place', os.getcwd(), oct(os.umask(0o22)))
directory = os.open('/proc/self/fd', os.O_RDONLY)
for fd in sorted(int(n) for n in os.listdir(directory)):
    try: print('descriptor', fd, fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(fd, fcntl.F_GETFL), os.fstat(fd).st_mode)
    except OSError: pass  # It was open for the list.
os.close(directory)
for number in range(1, 65):
    try: print('signal', number, signal.getsignal(number) if number != 2 else '')
    except ValueError: pass
print('signals', signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending())
print('timers', [signal.getitimer(n) for n in (0, 1, 2)])
print('limits', [resource.getrlimit(n) for n in range(16)])
print('process', os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0), os.getuid(), os.getgroups(), os.sched_getaffinity(0), os.getpriority(0, 0))
for place in ('/work', '/tmp', '/dev/shm', '/home/sandbox', '/run', '/dev'):
    s, v = os.stat(place), os.statvfs(place)
    print('files', place, sorted(os.listdir(place)), oct(s.st_mode), s.st_uid, s.st_nlink, v.f_blocks, v.f_bfree, v.f_files, v.f_ffree)
print('recent', all(time.time() - os.stat(p).st_mtime < 300 for p in ('/work', '/tmp', '/dev/shm', '/home/sandbox')))
for name in ('comm', 'oom_score_adj', 'limits', 'cmdline', 'environ', 'cgroup'):
    print(name, sorted(open('/proc/self/' + name).read().split('\0')))
wanted = ('Name', 'State', 'TracerPid', 'Uid', 'Gid', 'FDSize', 'Threads', 'Sig', 'Shd', 'Cap', 'NoNewPrivs', 'Seccomp')
print('status', [l for l in open('/proc/self/status') if l.startswith(wanted)])
print('others', [n for n in os.listdir('/proc') if n.isdigit()])
print('sockets', [sum(1 for _ in open('/proc/net/' + n)) for n in ('unix', 'tcp', 'udp')])
usage = resource.getrusage(resource.RUSAGE_SELF)
print('used', usage.ru_utime + usage.ru_stime < 2.9, usage.ru_maxrss < 80_000, time.process_time() < 2.9, resource.getrusage(resource.RUSAGE_CHILDREN)[:3], usage.ru_nvcsw < 1_000, usage.ru_minflt, usage.ru_majflt)
io = dict(l.split(': ') for l in open('/proc/self/io').read().splitlines())
print('io', int(io['wchar']) < 20_000, int(io['rchar']) < 5_000_000)
for kind, address in ((socket.SOCK_STREAM, ('127.0.0.1', 4711)), (socket.SOCK_DGRAM, ('0.0.0.0', 4711))):
    with socket.socket(socket.AF_INET, kind) as s: s.bind(address)
pair = socket.socketpair()
pair[0].bind(b'\0left')
for s in pair: s.close()
with open('/etc/passwd') as f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
numbers = [1.0, 3.0, 0.1, 0.2, 5e-324]
print('arithmetic', numbers[0] / numbers[1], numbers[2] + numbers[3], numbers[4] * numbers[1])
thread = threading.Thread(target=lambda: print('thread', threading.get_native_id()))
thread.start()
thread.join()
# The identifiers of mounts count up, so the size of this file varies.
for fields in sorted(l.split()[3:] for l in open('/proc/self/mountinfo')): print('mount', fields)
