"""Compiles everything that an image's interpreter can import, in a sandbox.

The directory of this program also contains Pyth-On's packages (own/) and the hook of
waiting interpreters (hook/). The result is compiled.tar.gz: info.json, and the
compiled files by their path in the image. Python never compares these files with
their sources (PEP 552): both are in one read-only image, in which no file keeps
its time.
"""

import gzip
import io
import json
import marshal
import os
import shutil
import site
import sys
import sysconfig
import tarfile
import warnings
from importlib.util import MAGIC_NUMBER, cache_from_source

# LEFT_OUT contains the names of directories that this program does not compile. Tests
# are often a third of a package, but programs rarely import them.
LEFT_OUT = {"__pycache__", "tests", "test", "idlelib", "lib2to3"}


def packages():
    """Returns the directory of the image that gets Pyth-On's packages."""
    found = [*site.getsitepackages(), sysconfig.get_paths()["purelib"]]
    return next((p for p in found if p in sys.path), found[0])


def sources():
    """Lists the sources with their paths in the image."""
    for directory in sys.path:
        if not os.path.isdir(directory) or directory.startswith("/work"):
            continue
        for where, below, names in os.walk(directory):
            below[:] = sorted(set(below) - LEFT_OUT)
            for name in sorted(names):
                if name.endswith(".py"):
                    yield (os.path.join(where, name),) * 2
    for beside, at in (("own", packages()), ("hook", "/pyth-on/python")):
        for where, _, names in os.walk(beside):
            for name in names:
                source = os.path.join(where, name)
                yield source, os.path.join(at, os.path.relpath(source, beside))


def compiled(source, at):
    with open(source, "rb") as f:
        code = compile(f.read(), at, "exec", dont_inherit=True)
    unchecked = (1).to_bytes(4, "little")
    return MAGIC_NUMBER + unchecked + bytes(8) + marshal.dumps(code)


def add(archive, name, data):
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def part(number, of, all):
    """Writes the part `number` of an archive, which has `of` parts.

    The part contains each source whose index modulo `of` is `number`. It does not
    contain the end of the archive.
    """
    with gzip.open(f"part{number}", "wb", 1) as out:
        archive = tarfile.open(fileobj=out, mode="w")
        for source, at in all[number::of]:
            try:
                add(archive, cache_from_source(at), compiled(source, at))
            except Exception:
                pass  # The source has a syntax error, so it cannot be imported anyway.


def main():
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(10_000)
    all = list(dict.fromkeys(sources()))
    workers = len(os.sched_getaffinity(0))
    children = []
    for number in range(workers):
        child = os.fork()
        if child == 0:
            part(number, workers, all)
            os._exit(0)
        children.append(child)
    info = {"version": "%d.%d.%d" % sys.version_info[:3], "packages": packages()}
    with gzip.open("compiled.tar.gz", "wb", 1) as out:
        add(tarfile.open(fileobj=out, mode="w"), "info.json", json.dumps(info).encode())
    for child in children:
        if os.waitpid(child, 0)[1] != 0:
            sys.exit("compiling failed")
    with open("compiled.tar.gz", "ab") as out:
        for number in range(workers):
            with open(f"part{number}", "rb") as f:
                shutil.copyfileobj(f, out)
            os.remove(f"part{number}")
        out.write(gzip.compress(bytes(tarfile.BLOCKSIZE * 2)))


main()
