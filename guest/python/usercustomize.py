"""Lets an interpreter that has already started wait for its program.

The guest agent starts `python3 main.py` with this module on PYTHONPATH. The
interpreter imports it as the last step of its start-up, just before it opens
main.py. Here it waits for its job; then it removes every trace of this module
and goes on as if it had been started that moment. So main.py runs natively:
tracebacks, exit codes, atexit and __main__ are CPython's own.

Processes that the program starts do not have this module on their path.
Sub-interpreters do, since they are set up as the main one was: there it only
removes itself.
"""


def remove(hook_dir="/pyth-on/python"):
    import sys

    sys.path[:] = [p for p in sys.path if p != hook_dir]
    sys.path_importer_cache.pop(hook_dir, None)


def is_main():
    import _interpreters

    return _interpreters.get_current()[0] == _interpreters.get_main()[0]


def wait():
    import atexit
    import os
    import sys

    control = 3

    def receive(size):
        parts = []
        while size:
            part = os.read(control, size)
            if not part:
                os._exit(0)  # The agent is gone: so is the sandbox.
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    prepare()
    os.write(control, b"R")
    size = int.from_bytes(receive(4), "big")
    count, _, rest = receive(size).partition(b"\0")
    os.close(control)
    fields = [os.fsdecode(f) for f in rest.split(b"\0")[:-1]]
    args, env = fields[: int(count)], fields[int(count) :]

    os.chdir("/work")
    os.environ.clear()
    for variable in env:
        name, _, value = variable.partition("=")
        os.environ[name] = value
    if "TZ" in os.environ:
        import time

        time.tzset()
    sys.argv.extend(args)
    sys.orig_argv.extend(args)

    library = list(sys.path)
    program = os.getpid()
    getpid, opener = os.getpid, os.open
    write, close = os.write, os.close
    flags = os.O_WRONLY | os.O_TRUNC

    def report():
        # Runs after every handler of the program's own. CPython leaves an
        # uncaught exception in sys.last_exc once it has printed it.
        error = getattr(sys, "last_exc", None)
        if error is None or getpid() != program:
            return
        try:
            # The program's directory may hold a traceback.py of its own.
            sys.path = library
            import traceback

            shown = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
            text = "".join(shown.format())[-65536:]
            # The text of the exception as shown, since asking for it again
            # would run the program's code once more.
            message = str(shown)
            if isinstance(error, SyntaxError) and (error.filename or "").endswith("/work/main.py"):
                line = error.lineno
            else:
                line, frame = 0, error.__traceback__
                while frame is not None:
                    if frame.tb_frame.f_code.co_filename == "/work/main.py":
                        line = frame.tb_lineno
                    frame = frame.tb_next
            fields = (type(error).__qualname__, message[:16384], text, str(line or 0))
            data = "\0".join(f.replace("\0", "\ufffd") for f in fields)
            data = data.encode("utf-8", "replace")
            fd = opener("/run/report", flags)
            try:
                while data:
                    data = data[write(fd, data) :]
            finally:
                close(fd)
        except BaseException:
            pass  # The program's own output must not change.

    atexit.register(report)


def prepare():
    """Does ahead what the interpreter would do between now and main.py."""
    import sys

    # Every finder on the path is asked for this module when it is absent, and
    # keeps what it has read of its directory.
    for path in sys.path:
        finder = sys.path_importer_cache.get(path)
        if finder is not None:
            finder.find_spec("usercustomize")
    # The interpreter looks whether main.py is an archive, and keeps the answer.
    sys.path_importer_cache["/work/main.py"] = None
    # What runs for the first time is slow: pages are not there yet.
    exec(compile("def f(x):\n    return [x]\nfor i in 0, 1:\n    f(str(i))\n", "main.py", "exec"), {})


def forget(loaded):
    import sys

    for name in set(sys.modules) - loaded - {__name__}:
        del sys.modules[name]


loaded = set(__import__("sys").modules)
remove()
if is_main():
    wait()
forget(loaded)
# site takes this for a missing module, and importlib forgets it.
raise ImportError(name="usercustomize")
