"""The interpreter of a session: runs programs as they come.

usercustomize.py loads this module when a session begins, and not for other runs.
"""


class Session:
    """Runs one program after the other in __main__, as a notebook does."""

    def __init__(self, control, library, hook):
        self.control = control
        self.library = library
        self.hook = hook
        self.results = hook["Results"](library)
        self.number = 0
        self.running = False

    def begin(self):
        """Has CPython call serve() as its program."""
        import builtins
        import os

        setattr(builtins, "<session>", self.serve)
        fd = os.open("/work/main.py", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, b"vars(__builtins__)['<session>']()")
        os.close(fd)

    def serve(self):
        import builtins
        import os
        import signal
        import sys

        del vars(builtins)["<session>"]
        os.remove("/work/main.py")
        builtins.display = self.results.display
        self.main = vars(sys.modules["__main__"])
        for name in ("__file__", "__cached__", "__loader__"):
            self.main.pop(name, None)
        signal.signal(signal.SIGINT, self.interrupted)
        while True:
            message = self.hook["receive"](self.control)
            parts = []
            while message:
                size = 4 + int.from_bytes(message[:4], "big")
                parts.append(message[4:size])
                message = message[size:]
            reply = self.hook["join"](*self.turn(*parts))
            reply = len(reply).to_bytes(4, "big") + reply
            while reply:
                reply = reply[os.write(self.control, reply) :]

    def interrupted(self, number, frame):
        # One that comes too late is meant for what has ended.
        if self.running:
            self.running = False
            raise KeyboardInterrupt

    def turn(self, results, code, stdin, count, *fields):
        """Runs one program and returns what the agent is to be told."""
        import io
        import os
        import sys

        self.number += 1
        name = f"<run {self.number}>"
        self.hook["thaw"](code)
        self.results.wanted = results == b"1"
        fields = [os.fsdecode(f) for f in fields]
        sys.argv = ["main.py", *fields[: int(count)]]
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8", errors="surrogateescape")
        environment = dict(os.environ)
        for variable in fields[int(count) :]:
            key, _, value = variable.partition("=")
            os.environ[key] = value
        given = dict(os.environ)
        try:
            return self.outcome(name, code)
        finally:
            self.running = False
            # What was given is for this run; what the run set stays.
            for key, value in given.items():
                if os.environ.get(key) == value != environment.get(key):
                    if key in environment:
                        os.environ[key] = environment[key]
                    else:
                        del os.environ[key]
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except Exception:
                    pass

    def outcome(self, name, code):
        import sys

        try:
            self.running = True
            self.run(name, code)
            self.running = False
            self.results.open_figures(close=True)
        except SystemExit as stop:
            status = stop.code
            if status is None:
                status = 0
            elif not isinstance(status, int):
                print(status, file=sys.stderr)
                status = 1
            return str(status & 0xFF), "", "", "", "0"
        except BaseException as error:
            self.running = False
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename != name:
                trace = trace.tb_next
            error.__traceback__ = trace
            sys.last_type, sys.last_value, sys.last_traceback, sys.last_exc = type(error), error, trace, error
            path = sys.path
            try:
                sys.path = self.library
                said = self.hook["describe"](error, trace, name)
            except BaseException:
                said = (type(error).__qualname__, "", "", "0")
            finally:
                sys.path = path
            try:
                sys.excepthook(type(error), error, trace)
            except BaseException:
                pass  # It is a hook of the program's own.
            return "1", *said
        return "0", "", "", "", "0"

    def run(self, name, code):
        import _ast
        import linecache

        text = code.decode("utf-8", "replace")
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        tree = compile(code, name, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
        final = None
        if tree.body and isinstance(tree.body[-1], _ast.Expr) and self.hook["shows"](tree.body[-1].value, code):
            final = _ast.Expression(tree.body.pop().value)
        if tree.body:
            exec(compile(tree, name, "exec", dont_inherit=True), self.main)
        if final is not None:
            self.results.last(eval(compile(final, name, "eval", dont_inherit=True), self.main))
