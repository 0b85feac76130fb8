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


def preload():
    """Imports what the operator wants to be there for every program."""
    import os

    names = os.environ.pop("PYTH_ON_PRELOAD", "")
    for name in names.split(","):
        try:
            if name:
                __import__(name)
        except BaseException:
            pass  # The program is told when it imports it.
    if names:
        import gc

        gc.collect()  # What is frozen is never collected.


def is_main():
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # Before Python 3.13.
        except ImportError:
            return True
    return interpreters.get_current() == interpreters.get_main()


def wait():
    import atexit
    import os
    import sys

    control = 3

    packages = find_packages()
    prepare()
    freeze()
    os.write(control, b"R")
    mode, count, *fields = receive(control).split(b"\0")[:-1]
    if mode == b"session":
        import fcntl

        kept = fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(control)
    fields = [os.fsdecode(f) for f in fields]
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
    getattr(sys, "orig_argv", []).extend(args)  # Since Python 3.10.

    library = list(sys.path)
    add_packages(packages)
    if mode == b"session":
        begin_session(kept, library)
        return
    source = read_program()
    thaw(source)
    program = os.getpid()
    getpid, opener = os.getpid, os.open
    write, close = os.write, os.close
    flags = os.O_WRONLY | os.O_TRUNC

    def report():
        # Runs after every handler of the program's own. CPython leaves an
        # uncaught exception in sys.last_exc once it has printed it; before Python
        # 3.12, in sys.last_value.
        error = getattr(sys, "last_exc", getattr(sys, "last_value", None))
        if error is None or getpid() != program:
            return
        try:
            # The program's directory may hold a traceback.py of its own.
            sys.path = library
            data = join(*describe(error, error.__traceback__, "/work/main.py"))
            fd = opener("/run/report", flags)
            try:
                while data:
                    data = data[write(fd, data) :]
            finally:
                close(fd)
        except BaseException:
            pass  # The program's own output must not change.

    atexit.register(report)
    if sys.version_info < (3, 10):
        loaded.add("atexit")  # The interpreter has no reference of its own to it.
    if mode == b"results":
        import builtins

        shown = Results(library)
        builtins.display = shown.display
        capture(shown, source)


def begin_session(control, library, path="/pyth-on/python/session.py"):
    """Runs session.py, beside this module, with what it uses of this one."""
    import builtins

    import _frozen_importlib_external

    code = _frozen_importlib_external.SourceFileLoader("session", path).get_code("session")
    # Its own copy of the builtins: programs may change those that they share.
    namespace = {"__builtins__": dict(vars(builtins)), "__name__": "session"}
    exec(code, namespace)
    namespace["Session"](control, library, globals()).begin()


def freeze():
    """Spares the program the collector's way through what was there before it.

    At the end alone CPython goes it three times. What the program keeps in
    __main__ has to be collected, so that is made anew.
    """
    import gc
    import sys

    gc.freeze()
    old = sys.modules["__main__"]
    new = type(sys)("__main__")
    vars(new).clear()
    vars(new).update(vars(old))
    sys.modules["__main__"] = new


def thaw(source):
    """Undoes that for a program which could tell: one that speaks of gc."""
    if b"gc" in source:
        import gc

        gc.unfreeze()


def read_program():
    import os

    fd = os.open("/work/main.py", os.O_RDONLY)
    try:
        source = b""
        while part := os.read(fd, 1 << 20):
            source += part
    finally:
        os.close(fd)
    return source


def find_packages(directory="/opt/pyth-on/python-packages"):
    """Puts the user's packages on the path; they are there from the boot on.

    Returns what of them is to be run when an interpreter starts.
    """
    import os
    import sys

    try:
        names = os.listdir(directory)
    except OSError:
        names = []
    if ".store" not in names:
        return directory, []
    sys.path.append(directory)
    return directory, sorted(n for n in names if n.endswith(".pth") and not n.startswith("."))


def add_packages(packages):
    """Does with .pth files what site does, but in the time of the run."""
    directory, names = packages
    if not names:
        return
    import site
    import sys

    known = {site.makepath(p)[1] for p in sys.path}
    before = set(sys.modules)
    for name in names:
        site.addpackage(directory, name, known)
    # What they imported is the program's.
    loaded.update(set(sys.modules) - before)


def receive(control):
    """Returns a message, which comes after its length."""
    import os

    def exactly(size):
        parts = []
        while size:
            part = os.read(control, size)
            if not part:
                os._exit(0)  # The agent is gone: so is the sandbox.
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    return exactly(int.from_bytes(exactly(4), "big"))


def describe(error, trace, name):
    """Tells what an exception is, as it is shown, and its line in the file."""
    import sys
    import traceback

    compact = {"compact": True} if sys.version_info >= (3, 10) else {}
    shown = traceback.TracebackException(type(error), error, trace, **compact)
    text = "".join(shown.format())[-65536:]
    if isinstance(error, SyntaxError) and (error.filename or "").endswith(name):
        line = error.lineno
    else:
        line = 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == name:
                line = trace.tb_lineno
            trace = trace.tb_next
    # The text of the exception as shown, since asking for it again would run the
    # program's code once more.
    return type(error).__qualname__, str(shown)[:16384], text, str(line or 0)


def join(*fields):
    return "\0".join(f.replace("\0", "\ufffd") for f in fields).encode("utf-8", "replace")


class Results:
    """Tells the agent of values that the program displays."""

    # Methods that make a form of a value, as IPython has them.
    forms = (
        ("text/html", "_repr_html_"),
        ("text/markdown", "_repr_markdown_"),
        ("image/svg+xml", "_repr_svg_"),
        ("image/png", "_repr_png_"),
        ("image/jpeg", "_repr_jpeg_"),
        ("application/pdf", "_repr_pdf_"),
        ("text/latex", "_repr_latex_"),
        ("application/json", "_repr_json_"),
        ("application/javascript", "_repr_javascript_"),
    )

    def __init__(self, library):
        import _thread

        self.library = library
        self.lock = _thread.allocate_lock()
        self.figures = set()
        self.wanted = True

    def display(self, *values):
        """Returns values with the run, in the richest forms that they have."""
        for value in values:
            self.send(self.bundle(value))

    def bundle(self, value):
        bundle = {}
        method = self.method(value, "_repr_mimebundle_")
        if method is not None:
            try:
                made = method(include=None, exclude=None)
                bundle.update(made[0] if isinstance(made, tuple) else made)
            except Exception:
                pass  # Like one that the value does not have.
        for media, name in self.forms:
            method = self.method(value, name)
            if method is None or media in bundle:
                continue
            try:
                data = method()
            except Exception:
                continue
            if isinstance(data, tuple):  # With metadata.
                data = data[0]
            if data is not None:
                bundle[media] = data
        if is_figure(value) and "image/png" not in bundle:
            self.figures.add(id(value))
            try:
                bundle["image/png"] = self.png(value)
            except Exception:
                pass
        if "text/plain" not in bundle:
            try:
                text = repr(value)
            except Exception:
                return bundle
            bundle["text/plain"] = text if len(text) <= 100_000 else text[:100_000] + "\u2026"
        return bundle

    @staticmethod
    def method(value, name):
        # A class has methods that are meant for its instances.
        if isinstance(value, type):
            return None
        try:
            method = getattr(value, name, None)
        except Exception:
            return None
        return method if callable(method) else None

    def encode(self, media, data):
        if media == "application/json" or media.endswith("+json"):
            if not isinstance(data, str):
                import sys

                # The program's directory may hold a json.py of its own.
                path, sys.path = sys.path, self.library
                try:
                    import json
                finally:
                    sys.path = path
                data = json.dumps(data)
        if isinstance(data, str):
            return data.encode("utf-8", "replace")
        import binascii

        return binascii.b2a_base64(bytes(data), newline=False)

    def send(self, bundle):
        import os

        if not self.wanted:
            return
        message = bytearray(4)
        for media, data in bundle.items():
            try:
                encoded = self.encode(media, data)
            except Exception:
                continue
            for part in (media.encode("utf-8", "replace"), encoded):
                message += len(part).to_bytes(4, "big") + part
        message[:4] = (len(message) - 4).to_bytes(4, "big")
        if len(message) > 8 << 20:
            return
        try:
            with self.lock:
                fd = os.open("/run/results", os.O_WRONLY)
                try:
                    while message:
                        del message[: os.write(fd, message)]
                finally:
                    os.close(fd)
        except OSError:
            pass  # There is nobody who takes more.

    def png(self, figure):
        import io

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()

    def last(self, value):
        """Shows the value of the final expression, as a notebook does."""
        import builtins

        vars(builtins).pop("<result>", None)
        if value is not None:
            self.display(value)

    def open_figures(self, close=False):
        """Shows the figures of pyplot that are open still."""
        import sys

        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            for number in pyplot.get_fignums():
                figure = pyplot.figure(number)
                if id(figure) not in self.figures:
                    self.send({"image/png": self.png(figure), "text/plain": repr(figure)})
            if close:
                pyplot.close("all")
                self.figures.clear()
        except Exception:
            pass  # A figure that cannot be drawn is none.


def is_figure(value):
    kind = type(value)
    return kind.__name__ == "Figure" and kind.__module__.partition(".")[0] == "matplotlib"


def capture(shown, source):
    """Has the value of the program's final expression shown.

    CPython runs main.py itself, and runs it as well when it holds compiled
    code. So for the moment in which CPython reads it, it does: the program with
    a call around its final expression, and one ahead that puts the source back.
    Positions are those of the source. A program that does not compile, or not
    without warnings, is left to CPython.
    """
    import _ast
    import _frozen_importlib_external
    import _warnings
    import builtins
    import marshal
    import os
    import sys

    name, aside = "/work/main.py", "/work/.main.py"
    fatal = ("error", None, Warning, None, 0)
    set_filters(lambda: _warnings.filters.insert(0, fatal))
    try:
        tree = compile(source, name, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
        body = tree.body
        final = body[-1] if body else None
        calls = []
        if isinstance(final, _ast.Expr) and shows(final.value, source):
            calls.append("<result>")
            final.value = call("<result>", final.value, [final.value])
        if b"pyplot" in source and final is not None:
            calls.append("<figures>")
            body.append(statement("<figures>", final))
        if not calls:
            return
        first = 0
        while first < len(body) and (is_docstring(body[first], first) or is_future(body[first])):
            first += 1
        if first < len(body):
            body.insert(first, statement("<start>", body[first]))
        code = compile(tree, name, "exec", dont_inherit=True)
    except BaseException:
        return
    finally:
        set_filters(lambda: _warnings.filters.remove(fatal))

    def start():
        os.rename(aside, name)
        del vars(builtins)["<start>"]
        loader = _frozen_importlib_external.SourceFileLoader("__main__", name)
        sys.modules["__main__"].__loader__ = loader

    data = _frozen_importlib_external.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
    os.rename(name, aside)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        os.rename(aside, name)  # The disk is full.
        return
    finally:
        os.close(fd)
    actions = {"<start>": start, "<result>": shown.last, "<figures>": shown.open_figures}
    for action in ["<start>", *calls]:
        setattr(builtins, action, actions[action])


def set_filters(change):
    import _warnings

    if not hasattr(_warnings, "_acquire_lock"):  # Before Python 3.14.
        change()
        _warnings._filters_mutated()
        return
    _warnings._acquire_lock()
    try:
        change()
        _warnings._filters_mutated_lock_held()
    finally:
        _warnings._release_lock()


def shows(value, source):
    """Whether an expression may have a value that is to be shown."""
    import _ast

    if source.rstrip().endswith(b";"):
        return False  # As in a notebook.
    if isinstance(value, _ast.Call) and isinstance(value.func, _ast.Name):
        return value.func.id not in ("print", "exit", "quit", "display")
    return not (isinstance(value, _ast.Constant) and value.value is None)


def is_docstring(node, index):
    import _ast

    return (
        index == 0
        and isinstance(node, _ast.Expr)
        and isinstance(node.value, _ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_future(node):
    import _ast

    return isinstance(node, _ast.ImportFrom) and node.module == "__future__"


def call(name, at, arguments):
    """Makes a call of a name that no program can have, at a node's position."""
    import _ast

    where = {
        "lineno": at.lineno,
        "col_offset": at.col_offset,
        "end_lineno": at.end_lineno,
        "end_col_offset": at.end_col_offset,
    }
    return _ast.Call(_ast.Name(name, _ast.Load(), **where), arguments, [], **where)


def statement(name, at):
    import _ast

    made = call(name, at, [])
    return _ast.Expr(
        made,
        lineno=made.lineno,
        col_offset=made.col_offset,
        end_lineno=made.end_lineno,
        end_col_offset=made.end_col_offset,
    )


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
    source = "def f(x):\n    return [x]\nfor i in 0, 1:\n    f(str(i))\n"
    exec(compile(compile(source, "main.py", "exec", 0x400), "main.py", "exec"), {})


def forget(loaded):
    import sys

    for name in set(sys.modules) - loaded - {__name__}:
        del sys.modules[name]


remove()
preload()
loaded = set(__import__("sys").modules)
if is_main():
    wait()
else:
    add_packages(find_packages())
forget(loaded)
# site takes this for a missing module, and importlib forgets it.
raise ImportError(name="usercustomize")
