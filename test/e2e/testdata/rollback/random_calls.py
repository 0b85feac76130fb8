"""Makes random system calls with plausible arguments. Arguments: seed, "allowed" or "all"."""
import ctypes, mmap, os, random, signal, sys, threading

# The numbers of the calls whose effects are restored or do not last.
ALLOWED = [
    *range(0, 29), *range(32, 42), 45, 47, 48, 49, 51, 52, 53, 54, 55, 60, 63, *range(72, 92), *range(95, 101), 102, 104,
    107, 108, *range(110, 112), 115, 118, 120, 121, 124, 127, 128, 131, 132, 137, 138, *range(140, 149), 157, 160, 162, 186,
    187, 191, 192, 193, 194, 195, 196, 201, 202, 204, 213, 217, 219, 221, 228, 229, 230, 232, 233, 235, 239, 247, 252,
    *range(257, 259), *range(261, 272), 273, 274, 277, 280, 281, *range(283, 288), *range(290, 294), 295, 296, 302, 306,
    309, 315, 316, 318, 319, 326, 327, 328, 332, 334, 436, 437, 439, 441,
]
# Calls that often end or block the program.
RARE = [7, 9, 10, 11, 12, 15, 23, 25, 28, 34, 35, 60, 61, 128, 202, 219, 230, 232, 247, 270, 271, 281]
USUAL = [n for n in ALLOWED if n not in RARE]
random.seed(int(sys.argv[1]))
libc = ctypes.CDLL(None, use_errno=True)
scratch = mmap.mmap(-1, 1 << 16)
base = ctypes.addressof(ctypes.c_char.from_buffer(scratch))
paths = [b'/work/a', b'b', b'/tmp/c', b'/dev/shm/d', b'/home/sandbox/e', b'/proc/self/comm', b'/proc/self/mem', b'/proc/self/fd/1',
         b'/proc/self/maps', b'/proc/1/limits', b'/etc/passwd', b'/dev/null', b'/dev/ptmx', b'/run/report', b'.', b'..', b'/', b'']
for number, path in enumerate(paths): scratch[64 * number:64 * number + len(path)] = path
for at in range(4096, 1 << 16, 8): scratch[at:at + 8] = random.choice((0, 1, 2, 1000, 4096, 1 << 20, base + 8192, random.getrandbits(64))).to_bytes(8, 'little')
maps = [tuple(int(x, 16) for x in l.split()[0].split('-')) for l in open('/proc/self/maps')]

def argument():
    kind = random.random()
    if kind < 0.3: return random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -100, -1))
    if kind < 0.5: return base + 64 * random.randrange(len(paths))
    if kind < 0.65: return base + random.randrange(4096, 1 << 16, 8)
    if kind < 0.75: return 1 << random.randrange(20)
    if kind < 0.8: return random.choice(random.choice(maps)) & ~0xfff
    if kind < 0.9: return random.choice((0o102, 0o2000000, 0x22, 0x32, 3, 7, 64, 4096, 8192, 65536, 1 << 20))
    return random.getrandbits(random.choice((8, 16, 32, 64)))

def work(number):
    for _ in range(number):
        call = random.choice(RARE if random.random() < 0.03 else USUAL)
        if sys.argv[2] == 'all' and random.random() < 0.2: call = random.randrange(470)
        libc.syscall(ctypes.c_long(call), *(ctypes.c_long(argument()) for _ in range(6)))

signal.setitimer(signal.ITIMER_REAL, 0.2)
work(random.choice((1, 3, 10, 30, 100)))
if random.random() < 0.2:
    threads = [threading.Thread(target=work, args=(random.choice((1, 5, 20)),)) for _ in range(random.choice((1, 2, 5)))]
    for t in threads: t.start()
    for t in threads: t.join()
random.choice((sys.exit, os._exit, lambda n: libc.syscall(231, n), lambda n: None))(random.randrange(2))
