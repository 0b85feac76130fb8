"""Serves one operation on the files of a sandbox, for a client of E2B.

The arguments are the name of the operation and its paths. The result is JSON, or one line
of JSON for each message. If the operation fails, the exit code is 3.
"""

import errno
import json
import os
import shutil
import stat
import sys
import time

MAX_ENTRIES = 10_000
MAX_READ = 8 << 20
WATCH_INTERVAL = 0.2


class Failure(Exception):
    """An error for the client, with a code of the protocol."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def entry(path):
    info = os.lstat(path)
    kind = "file"
    if stat.S_ISDIR(info.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(info.st_mode):
        kind = "symlink"
    found = {
        "path": path,
        "kind": kind,
        "size": info.st_size,
        "mode": stat.S_IMODE(info.st_mode),
        "permissions": stat.filemode(info.st_mode),
        "modifiedNs": info.st_mtime_ns,
        "root": info.st_uid == 0,
    }
    if kind == "symlink":
        found["target"] = os.readlink(path)
    return found


def walk(path, depth):
    """Return the entries below a directory. Entries that disappear are left out."""
    found, waiting = [], [(path, 1)]
    while waiting:
        directory, level = waiting.pop()
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if directory == path:
                raise
            continue
        for name in names:
            below = os.path.join(directory, name)
            try:
                found.append(entry(below))
            except FileNotFoundError:
                continue
            if len(found) > MAX_ENTRIES:
                raise Failure("resource_exhausted", f"the directory has more than {MAX_ENTRIES} entries")
            if level < depth and found[-1]["kind"] == "directory":
                waiting.append((below, level + 1))
    return sorted(found, key=lambda e: e["path"])


def require_directory(path):
    if not os.path.isdir(path):
        os.stat(path)
        raise Failure("invalid_argument", "path is not a directory")


def show(path):
    say(entry(path))


def list_directory(path, depth):
    require_directory(path)
    say(walk(os.path.realpath(path) if os.path.islink(path) else path, int(depth)))


def make(path):
    if os.path.isdir(path):
        raise Failure("already_exists", "directory already exists")
    if os.path.lexists(path):
        raise Failure("invalid_argument", "path already exists but it is not a directory")
    os.makedirs(path)
    say(entry(path))


def move(source, destination):
    os.lstat(source)
    if os.path.isdir(destination) and not os.path.isdir(source):
        raise Failure("invalid_argument", "the destination is a directory")
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    try:
        os.rename(source, destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(source, destination)
    say(entry(destination))


def remove(path):
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass
    say({})


def read(path):
    if os.path.isdir(path):
        raise Failure("invalid_argument", "path is a directory")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Failure("invalid_argument", "path is not a regular file")
    with open(path, "rb") as file:
        content = file.read(MAX_READ + 1)
    if len(content) > MAX_READ:
        raise Failure("resource_exhausted", f"a file outside of /home/user can have at most {MAX_READ} bytes")
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write(path):
    if os.path.isdir(path):
        raise Failure("invalid_argument", "path is a directory")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    say({})


def watch(path, depth):
    """Send the changes below a directory until the process is killed."""
    require_directory(path)

    def state():
        return {e["path"]: e for e in walk(path, int(depth))}

    before = state()
    say({"type": "start"})
    while True:
        time.sleep(WATCH_INTERVAL)
        now = state()
        for name, old in before.items():
            if name not in now:
                say({"type": "remove", "entry": old})
        for name, new in now.items():
            old = before.get(name)
            if old is None:
                say({"type": "create", "entry": new})
                if new["kind"] == "file" and new["size"]:
                    say({"type": "write", "entry": new})
            elif new["kind"] == "file" and (old["size"], old["modifiedNs"]) != (new["size"], new["modifiedNs"]):
                say({"type": "write", "entry": new})
            elif old["mode"] != new["mode"]:
                say({"type": "chmod", "entry": new})
        before = now


OPERATIONS = {
    "stat": show,
    "list": list_directory,
    "make": make,
    "move": move,
    "remove": remove,
    "read": read,
    "write": write,
    "watch": watch,
}


def main():
    try:
        OPERATIONS[sys.argv[1]](*sys.argv[2:])
        return 0
    except Failure as error:
        code, message = error.code, str(error)
    except FileNotFoundError:
        code, message = "not_found", "path does not exist"
    except NotADirectoryError:
        code, message = "invalid_argument", "path is not a directory"
    except PermissionError:
        code, message = "permission_denied", "permission denied"
    except OSError as error:
        code = "resource_exhausted" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "invalid_argument"
        message = error.strerror or "the operation failed"
    say({"code": code, "message": message})
    return 3


sys.exit(main())
