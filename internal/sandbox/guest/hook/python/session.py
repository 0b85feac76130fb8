"""Runs the programs of a session one after another in one interpreter.

usercustomize.py loads this module only for sessions.

A program runs without any frame below its own, as under `python3 main.py`. To achieve
this, a function in C iterates over serve() and calls eval() with the values that
serve() yields. While the program runs, serve() is suspended, so it is in no stack and
no traceback. To start the iteration, main.py is made to fail. CPython then calls
sys.excepthook with an empty stack, and the hook iterates. A forked process leaves the
iteration by SystemExit, and CPython ends the process as usual.

A program may change builtins, sys, signals and modules. This code must work nevertheless,
so it stores the objects that it needs in advance.
"""

import _ast
import _collections
import _functools
import _io
import _signal
import _socket
import builtins
import itertools
import linecache
import os
import sys
import time

COROUTINE = 0x80  # inspect.CO_COROUTINE
TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
FUTURES = 0x1FE0000  # all flags of __future__

# HARMLESS contains types whose objects can be destroyed safely, because no code runs when
# such an object is destroyed.
HARMLESS = frozenset((type(None), bool, int, float, complex, str, bytes, type, _io.TextIOWrapper))

# excepthook is CPython's own handler of uncaught exceptions.
excepthook = sys.excepthook

# Keep the original functions, because the program may replace them.
namespace = type(sys.implementation)
environ = os.environ
os = namespace(**vars(os))
monotonic = time.monotonic
getlimit, setlimit = sys.getrecursionlimit, sys.setrecursionlimit

LAST = "last_type", "last_value", "last_traceback", "last_exc"

# LIMIT is the minimum recursion limit for this module. If the program sets a lower
# limit, the lower limit applies only while the program runs.
LIMIT = 1000

# The function load() sets the variable MAIN, the name of the file of __main__. The module
# inspect searches this file for the source of classes. The file exists only if the
# program creates it.


class Session:
    """Runs programs one after another in __main__, like a notebook."""

    def __init__(self, control, library, memory, hook):
        """control is the socket to the agent. memory is the session's limit in bytes."""
        self.control = control
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, control)
        self.library = library
        self.hook = hook
        self.codec = hook["load"]("protocol")
        self.results = hook["Results"](library)
        self.ending = hook["load"]("ending")["Ending"](None, lambda: self.results, 0, memory)
        self.number = 0
        self.process = os.getpid()
        self.stdin = sys.stdin.encoding, sys.stdin.errors
        self.modules = sys.modules
        # private contains modules that the method aside() has imported. Programs cannot
        # see these modules.
        self.private = {"linecache": linecache}
        self.shared = vars(builtins)
        self.future = 0
        # lines contains the source lines of all runs, one after another.
        self.lines = []
        self.spawned = None
        self.preparation = None
        self.loop = self.task = None
        # commands is the object whose methods run lines such as !ls. has_commands is true
        # while a program with such lines is compiled.
        self.commands, self.has_commands = None, False
        # caught is the last exception that guarded() caught.
        self.caught = None
        # interrupted is true if an interrupt came at a time when the program could not
        # receive it.
        self.interrupted = False
        # Syntax trees can contain only constants. So mark is a string that stands for
        # self.calls in a syntax tree.
        self.mark = f"<{id(self)} {hash(self.library[0])}>"
        # Functions in C append a program's exception to self.failures, and its final
        # value to self.values.
        self.failures, self.values = [], []
        # discarded contains objects of the program that are no longer needed. The method
        # discard() destroys them later.
        self.discarded = []
        # final is the syntax tree node of the final expression. Only the position of
        # the node is used.
        self.final = None
        self.calls = namespace(
            begin=_functools.partial(_signal.signal, _signal.SIGINT, _signal.default_int_handler),
            end=_functools.partial(_signal.signal, _signal.SIGINT, self.defer),
            trace=sys.settrace,
            profile=sys.setprofile,
            exception=sys.exc_info,
            failed=self.failures.append,
            value=self.values.append,
            discard=self.discarded.clear,
        )

    def begin(self):
        """Make CPython iterate over serve() when it runs main.py."""
        start = _functools.partial(_collections.deque, itertools.starmap(eval, self.serve()), 0)
        start = type("Start", (), {"__str__": staticmethod(start)})()
        # Install a C function that ignores its arguments and calls start. A C function
        # has no frame in tracebacks.
        sys.excepthook = _functools.partial("{0!s}".format, start)
        fd = os.open(MAIN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, b"raise")
        os.close(fd)

    def enter(self):
        sys.excepthook = excepthook
        for name in LAST:
            vars(sys).pop(name, None)
        os.remove(MAIN)
        builtins.display = self.results.display
        self.original = dict(self.shared)
        self.loaded = dict(self.modules)
        self.changed = self.limit = None
        self.module = self.modules["__main__"]
        self.main = vars(self.module)
        self.calls.end()

    def serve(self):
        """Yield the arguments for eval(). Never end."""
        self.enter()
        while True:
            (results, milliseconds, code, _, *lists), stdin = self.receive()
            self.ending.deadline = monotonic() + int(milliseconds) / 1000
            self.interrupted = False
            self.number += 1
            name = f"<run {self.number}>"
            self.results.wanted = results == b"1"
            restore = self.guarded(self.prepare, code, stdin, *map(self.codec["fields"], lists))
            for program in self.programs(name, code):
                self.release()
                yield program, self.main
                # First raise the recursion limit. With the program's limit, any call of a
                # Python function may fail.
                limit = getlimit()
                if limit < LIMIT:
                    setlimit(LIMIT)
                self.retain(limit)
            outcome = self.outcome(name)
            yield from self.discard(name)
            if restore is not None:
                self.guarded(restore)
            if self.commands is not None:
                self.commands.end()
            self.reply(outcome)

    def discard(self, name):
        """Yield code that destroys objects of the program, if there are any.

        As in a file, destructors run in the frame of the final expression, or in no
        frame. Warnings of destructors show this frame too.
        """
        self.failures.clear()
        at = self.final
        if not self.values:
            name, at = NOWHERE
        self.discarded += self.values
        self.values.clear()
        self.discarded[:] = (value for value in self.discarded if type(value) not in HARMLESS)
        if not self.discarded:
            return
        tree = _ast.Module([self.statement("discard", at)], [])
        self.wrap(tree, False)
        program = self.bind(compile(tree, name, "exec", dont_inherit=True))
        self.release()
        yield program, self.main
        limit = getlimit()
        if limit < LIMIT:
            setlimit(LIMIT)
        self.retain(limit)
        self.failures.clear()
        self.flush()

    def defer(self, number, frame):
        """Handle SIGINT while no program runs."""
        self.interrupted = True

    def programs(self, name, code):
        """Yield the code objects that run a program. Usually this is only the program's code."""
        try:
            program, wrapped = self.compile(name, code)
        except BaseException as error:
            self.failures.append((type(error), error, None))
            return
        if self.interrupted:
            self.failures.append((KeyboardInterrupt, KeyboardInterrupt(), None))
        elif not wrapped:
            self.caught = None
            self.guarded(eval, program, self.main)
            if self.caught is not None:
                kind, error, trace = self.caught
                while trace is not None and trace.tb_frame.f_code.co_filename != name:
                    trace = trace.tb_next
                self.failures.append((kind, error, trace))
        elif program.co_flags & COROUTINE:
            yield from self.drive(name, eval(program, self.main))
        else:
            yield program

    # The following methods exchange messages with the agent.

    def receive(self):
        """Return the fields of a message and the descriptor that came with it, or None."""
        try:
            header, received, *_ = self.socket.recvmsg(self.codec["HEADER"], _socket.CMSG_SPACE(4))
            parts = self.codec["receive"](self.control, header)
        except OSError:
            self.lost()
        return parts, int.from_bytes(received[0][2], sys.byteorder) if received else None

    def reply(self, outcome):
        reply = self.codec["frame"](self.codec["ENDED"], *(f if type(f) is str else "" for f in outcome))
        try:
            while reply:
                reply = reply[os.write(self.control, reply) :]
        except OSError:
            self.lost()

    @staticmethod
    def lost():
        try:
            os.write(2, b"The session ends: the program has closed the descriptor by which the session gets its runs.\n")
        finally:
            os._exit(1)

    # The following methods switch the interpreter between the program and this
    # module.

    def release(self):
        """Give the interpreter the state that the program expects."""
        if self.changed is not None:
            self.shared.update(self.changed)
            for name in set(self.shared) - set(self.changed):
                del self.shared[name]
        self.calls.restrict = int if self.limit is None else _functools.partial(setlimit, self.limit)

    def retain(self, limit):
        """Give the interpreter the state that this module needs, after the program.

        A process that the program has forked ends here.
        """
        self.limit = limit if limit < LIMIT else None
        try:
            same = self.shared == self.original
        except BaseException:  # The program may have defined the comparison of an object.
            same = False
        self.changed = None if same else dict(self.shared)
        self.shared.update(self.original)
        if "sys" not in self.modules or "__main__" not in self.modules:
            for known, module in self.loaded.items():
                self.modules.setdefault(known, module)
        if os.getpid() != self.process:
            self.leave()

    def leave(self):
        """End a forked process in the way in which CPython ends a program."""
        self.process = os.getpid()
        self.release()
        self.calls.begin()
        if not self.failures:
            raise SystemExit
        kind, error, trace = self.failures[0]
        if issubclass(kind, SystemExit):
            raise error
        status, *_ = self.show(kind, error, trace)
        if not issubclass(kind, KeyboardInterrupt):
            raise SystemExit(status)
        # The signal ends the process after all other steps. CPython uses the same order.
        import atexit

        if "threading" in self.modules:
            self.guarded(self.modules["threading"]._shutdown)
        self.guarded(atexit._run_exitfuncs)
        self.flush()
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)

    def guarded(self, function, *arguments):
        """Call a function that may run code of the program. Return None if it fails."""
        try:
            try:
                self.calls.begin()
                return function(*arguments)
            finally:
                self.calls.end()
        except BaseException as error:
            self.calls.end()
            self.caught = sys.exc_info()
            self.interrupted |= type(error) is KeyboardInterrupt
            return None
        finally:
            if os.getpid() != self.process:
                os._exit(0)  # Code that shows a value has forked this process.

    def aside(self, function, *arguments):
        """Call a function that imports modules, regardless of what the program has imported.

        Files of the program may have the names of library modules. So the function finds
        only library modules, and the program does not see what the function imports.
        """
        path = vars(sys).get("path")
        before = dict(self.modules)
        library = getattr(sys, "stdlib_module_names", ())
        for name, module in before.items():
            file = vars(module).get("__file__") if type(module) is type(sys) else None
            if name in library and isinstance(file, str) and file.startswith("/work/"):
                del self.modules[name]
        for name, module in self.private.items():
            self.modules.setdefault(name, module)
        sys.path = list(self.library)
        try:
            return self.guarded(function, *arguments)
        finally:
            for name in set(self.modules) - set(before):
                self.private[name] = self.modules.pop(name)
            self.modules.update(before)
            sys.path = path

    def prepare(self, code, stdin, args, env):
        """Apply the settings of the run. Return a function that restores the old settings."""
        self.hook["thaw"](code)
        self.main.setdefault("__name__", "__main__")
        self.main["__builtins__"] = builtins
        sys.argv = ["main.py", *(os.fsdecode(a) for a in args)]
        self.set_input(stdin)
        if self.results.wanted and b"import" in code:
            self.results.watch()
        self.prefer_fork(code)
        self.watch()
        before = dict(environ)
        for variable in env:
            key, _, value = os.fsdecode(variable).partition("=")
            environ[key] = value
        given = dict(environ)
        if given.get("TZ") != before.get("TZ"):
            time.tzset()

        def restore():
            # Restore the variables of this run, except those that the run has changed.
            for key, value in given.items():
                if environ.get(key) == value != before.get(key):
                    if key in before:
                        environ[key] = before[key]
                    else:
                        del environ[key]
                    if key == "TZ":
                        time.tzset()

        return restore

    def set_input(self, fd):
        """Make fd the standard input of the process and of its children."""
        if fd is not None and fd != 0:  # fd is 0 if the program has closed its standard input.
            os.dup2(fd, 0)
            os.close(fd)
        os.set_inheritable(0, True)
        # Create sys.stdin in the same way as CPython.
        buffer = _io.open(0, "rb", closefd=False)
        buffer.raw.name = "<stdin>"
        encoding, errors = self.stdin
        self.discarded += vars(sys).get("stdin"), vars(sys).get("__stdin__")
        sys.stdin = sys.__stdin__ = _io.TextIOWrapper(buffer, encoding, errors, "\n")
        sys.stdin.mode = "r"

    def prefer_fork(self, code):
        """Make multiprocessing fork, unless the program selects another method.

        Spawned processes would not have the state of earlier runs.
        """
        if b"multiprocessing" in code or b"ProcessPool" in code:
            if os.access("/work/multiprocessing", os.F_OK) or os.access("/work/multiprocessing.py", os.F_OK):
                return  # The program's own module has this name.
            import multiprocessing.context
        context = self.modules.get("multiprocessing.context")
        if context is not None and context._default_context._actual_context is None:
            context._default_context._default_context = context._concrete_contexts["fork"]

    def watch(self):
        """Adapt library modules to sessions, now or when they are imported."""
        watch = self.hook["load"]("results")["watch_imports"]
        library = os.__file__.rpartition("/")[0]
        instruments = {"linecache": self.instrument_linecache, "multiprocessing": lambda module: self.watch()}
        instruments = {name: f for name, f in instruments.items() if name not in self.modules}
        if instruments:
            watch(library, instruments)
        spawn = self.modules.get("multiprocessing.spawn")
        if spawn is not None:
            self.instrument_spawn(spawn)
        elif "multiprocessing" in self.modules:
            watch(library + "/multiprocessing", {"multiprocessing.spawn": self.instrument_spawn})

    def instrument_linecache(self, module):
        """Give the program's linecache the source lines of all runs."""
        for name, entry in linecache.cache.items():
            if name == MAIN or name.startswith("<run "):
                module.cache[name] = entry

    def instrument_spawn(self, spawn):
        original = vars(spawn).get("get_preparation_data")
        if type(original) is not type(position) or original is self.preparation:
            return

        def get_preparation_data(name):
            data = original(name)
            if data.get("init_main_from_path") == MAIN:
                data["init_main_from_path"] = self.define()
            return data

        get_preparation_data.__module__ = original.__module__
        get_preparation_data.__qualname__ = original.__qualname__
        self.preparation = spawn.get_preparation_data = get_preparation_data

    def define(self):
        """Write the definitions for a spawned process. Return the file to execute as __main__."""
        module = self.hook["load"]("definitions")
        if self.spawned is None:
            self.spawned = module["SpawnedMain"]([*self.original, "__name__", "__file__"])
        try:
            self.spawned.update(self.lines, self.future)
        except Exception:
            pass  # The file keeps the earlier definitions.
        return module["SPAWNED"]

    # The following methods compile a program.

    def compile(self, name, code):
        # Decode the code in the same way as the module linecache reads a file.
        lines = _io.StringIO(code.decode("utf-8", "replace"), None).readlines()
        self.publish(name, lines)
        fault = None
        try:
            program, wrapped = self.compile_large(name, code), True
            if program is None:
                program, wrapped = self.compile_tree(name, code)
        except SyntaxError as error:
            if error.filename == name and error.text is None and 0 < (error.lineno or 0) <= len(lines):
                error.text = lines[error.lineno - 1]
            fault = error
        if fault is not None:
            if b"!" not in code and b"%" not in code:
                raise fault
            program, wrapped, lines = self.compile_commands(name, lines, fault)
        self.future |= program.co_flags & FUTURES
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        self.lines += lines
        return program, wrapped

    def compile_commands(self, name, lines, error):
        """Compile a program that has lines such as !ls. If there are none, raise the given error.

        Also return the lines that definitions.py and the module inspect may use.
        """
        found = self.aside(lambda: self.magic()["rewrite"]("".join(lines), self.mark))
        if found is None:
            raise error
        program, plain = found
        self.has_commands = True
        try:
            program, wrapped = self.compile_tree(name, program.encode())
        except SyntaxError as fault:
            if fault.filename == name and 0 < (fault.lineno or 0) <= len(lines):
                fault.text = lines[fault.lineno - 1]
            raise
        finally:
            self.has_commands = False
        return program, wrapped, plain.splitlines(True)

    def magic(self):
        module = self.hook["load"]("magic")
        if self.commands is None:
            self.commands = module["Commands"](self.main)
            for name in ("shell", "output", "line", "cell"):
                setattr(self.calls, name, getattr(self.commands, name))
        return module

    def compile_large(self, name, code):
        """Return the code of a large program. Return None if compile_tree must be used."""
        if len(code) <= self.hook["LARGE"]:
            return None
        capture = self.hook["load"]("capture")
        if capture["ISA"] is None:
            return None
        awaits = TOP_LEVEL_AWAIT if b"await" in code or b"async" in code else 0
        program = compile(code, name, "exec", self.future | awaits, dont_inherit=True)
        if program.co_flags & COROUTINE:
            return None
        line = code.rstrip().count(b"\n") + 1
        self.final = _ast.Pass(**{**position(), "lineno": line, "end_lineno": line})
        make = self.aside(self.hook["load"], "large")["Wrapper"]
        return make(self.calls, self.values, capture).wrap(program, code, self.results.wanted)

    def compile_tree(self, name, code):
        tree = compile(code, name, "exec", _ast.PyCF_ONLY_AST | self.future, dont_inherit=True)
        shown = False
        if self.results.wanted and tree.body and isinstance(tree.body[-1], _ast.Expr):
            shown = self.hook["shows"](tree.body[-1].value, code)
        number_classes(tree, code, len(self.lines))
        return self.assemble(tree, name, code, shown)

    def assemble(self, tree, name, code, shown):
        """Return the program's code, and whether it reports its end."""
        self.wrap(tree, shown)
        awaits = TOP_LEVEL_AWAIT if b"await" in code or b"async" in code else 0
        program = None
        try:
            program = compile(tree, name, "exec", self.future | awaits, dont_inherit=True)
        except SyntaxError as error:
            if not str(error.msg).startswith("too many statically nested"):
                raise
        if program is None:
            # The blocks that this module has added may have exceeded the nesting limit of
            # the compiler. Compile the program without these blocks.
            return compile(code, name, "exec", self.future, dont_inherit=True), False
        if program.co_flags & COROUTINE and not is_awaitable(tree, {*self.shared, *self.main}):
            compile(tree, name, "exec", self.future, dont_inherit=True)  # raises the error
        return self.bind(program), True

    def publish(self, name, lines):
        """Give linecache the source lines of a run."""
        for module in (linecache, self.modules.get("linecache")):
            cache = getattr(module, "cache", None)
            if type(cache) is dict:
                cache[name] = (len(lines), None, lines, name)
                # The module linecache uses this entry only if the file MAIN does not
                # exist. The file exists only if the program has created it.
                cache[MAIN] = (self.source,)

    def source(self):
        return Source("".join(self.lines))

    def wrap(self, tree, shown):
        """Put statements around the program that make it report its end.

            try:
                try:
                    begin()
                    ...
                    value(the final expression)
                except:
                    failed(exception())
                end()
            except:  # An interrupt came outside the inner try, or a trace function failed.
                end()
                failed(exception())

        All these functions are in C, so that neither frames nor interrupts can come
        between them.
        """
        body = tree.body
        first, last = (body[0], body[-1]) if body else (_ast.Pass(**position()),) * 2
        head = []
        if shown:
            self.final = last
            last.value = self.call("value", last, last.value)
        while body and (is_future(body[0]) or not head and is_docstring(body[0])):
            head.append(body.pop(0))
        failed = self.statement("failed", last, self.call("exception", last))
        none = _ast.Constant(None, **position(last))
        end = [
            self.statement("profile", last, none),
            self.statement("trace", last, none),
            self.statement("end", last),
        ]
        begin = [self.statement("restrict", first), self.statement("begin", first)]
        inner = attempt(begin + body, [failed], first, last)
        tree.body = [*head, attempt([inner, *end], [*end, failed], first, last)]

    def call(self, name, at, *arguments):
        where = position(at)
        if at.end_lineno != at.lineno:
            # For a method call over several lines, CPython reports the line in which the
            # name of the method ends.
            where.update(end_lineno=at.lineno, end_col_offset=at.col_offset)
        function = _ast.Attribute(_ast.Constant(self.mark, **where), name, _ast.Load(), **where)
        return _ast.Call(function, list(arguments), [], **where)

    def statement(self, name, at, *arguments):
        return _ast.Expr(self.call(name, at, *arguments), **position(at))

    def bind(self, program):
        """Replace the mark in the program's code by the functions."""
        mark = self.mark
        constants = tuple(self.calls if type(c) is str and c == mark else c for c in program.co_consts)
        if self.has_commands:  # Functions of the program may have commands too.
            constants = tuple(self.bind(c) if type(c) is type(program) else c for c in constants)
        return program.replace(co_consts=constants)

    def drive(self, name, coroutine):
        """Yield the code objects that run a program with a top-level await."""
        self.task = None
        self.guarded(self.schedule, coroutine)
        if self.task is None:
            coroutine.close()
            self.failures.append(self.caught)
            return
        tree = _ast.Module([], [])
        self.wrap(tree, False)
        tree.body[0].body[0].body.append(self.statement("run", tree.body[0]))
        glue = self.bind(compile(tree, name, "exec", dont_inherit=True))
        yield glue
        if self.task.done() or not self.failures:
            return
        # An interrupt has ended the loop, but not the program's task. Cancel the task,
        # so that the traceback shows where the program was.
        kind, error, trace = self.failures[0]
        self.failures.clear()
        self.guarded(self.task.cancel)
        yield glue
        if self.failures:
            trace = self.failures[0][2]
        self.failures[:] = [(kind, error, trace)]

    def schedule(self, coroutine):
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(coroutine)
        self.calls.run = _functools.partial(self.loop.run_until_complete, self.task)

    # The following methods end a run.

    def outcome(self, name):
        """Show values and errors of the run. Return the fields for the agent."""
        outcome = "0", "", "", "", "0"
        if not self.failures:
            if self.values:
                self.guarded(self.ending.show, self.values[0])
        else:
            kind, error, trace = self.failures[0]
            # SystemExit sets only the exit status. It is not reported as an error.
            if issubclass(kind, SystemExit):
                outcome = str(self.status(error)), "", "", "", "0"
            else:
                status, *said = self.show(kind, error, trace, name)
                outcome = (str(status), *said) if status == 1 else (str(status), "", "", "", "0")
        self.guarded(self.ending.show_figures)
        self.guarded(self.results.close_figures)
        self.flush()
        return outcome

    def flush(self):
        for name in ("stdout", "stderr"):
            stream = vars(sys).get(name)
            if stream is not None:
                self.guarded(lambda stream=stream: stream.flush())

    def status(self, stop):
        """Return the exit status of a SystemExit. Print its text, if it has one."""
        self.caught = None
        code = self.guarded(lambda: stop.code)
        if self.caught is not None:
            code = stop
        if code is None:
            return 0
        if issubclass(type(code), int):
            code = int.__index__(code)
            return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 255
        write = self.write
        if vars(sys).get("stderr") is None:
            write = self.write_raw
        write(self.guarded(str, code) or "")
        write("\n")
        return 1

    def show(self, kind, error, trace, name=""):
        """Print an uncaught exception.

        Return the exit status, and the exception's fields for the agent.
        """
        BaseException.with_traceback(error, trace)
        if self.commands is not None:
            self.cut(trace)
        self.discarded += (vars(sys).get(n) for n in LAST)
        sys.last_type, sys.last_value, sys.last_traceback, sys.last_exc = kind, error, trace, error
        said = self.aside(self.hook["describe"], error, trace, name)
        hook = vars(sys).get("excepthook")
        if said is None:
            said = self.describe(kind, error, trace)
        if hook is excepthook and len(said[2]) < 65536:
            self.write(said[2])
            return 1, *said
        if "excepthook" not in vars(sys):
            self.write("sys.excepthook is missing\n" + said[2])
            return 1, *said
        self.caught = None
        self.guarded(lambda: hook(kind, error, trace))
        if self.caught is None:
            return 1, *said
        fault, cause, trace = self.caught
        if issubclass(fault, SystemExit):
            return self.status(cause), *said
        # Omit the frames of this module, as CPython omits its own frames.
        while trace is not None and trace.tb_frame.f_globals is globals():
            trace = trace.tb_next
        BaseException.with_traceback(cause, trace)
        self.write("Error in sys.excepthook:\n")
        self.guarded(excepthook, fault, cause, trace)
        self.write("\nOriginal exception was:\n")
        self.write(said[2])
        return 1, *said

    def cut(self, trace):
        """Remove the frames of the module magic from a traceback."""
        own = self.magic()
        while trace is not None:
            if trace.tb_next is not None and trace.tb_next.tb_frame.f_globals is own:
                trace.tb_next = None
            trace = trace.tb_next

    def describe(self, kind, error, trace):
        """Return the fields of an exception for which report.py fails, with CPython's own text."""
        line = trace.tb_lineno if trace is not None else 0
        name = type.__dict__["__qualname__"].__get__(kind)
        stderr, sys.stderr = vars(sys).get("stderr"), _io.StringIO()
        try:
            self.aside(excepthook, kind, error, trace)
            text = sys.stderr.getvalue()
        finally:
            sys.stderr = stderr
        message = text.rstrip("\n").rpartition("\n")[2].partition(": ")[2]
        return name, message[:16384], text[-65536:], str(line)

    def write_raw(self, text):
        self.guarded(lambda: os.write(2, text.encode("utf-8", "backslashreplace")))

    def write(self, text):
        self.guarded(lambda: sys.stderr.write(text))


class Source(str):
    """Source text that is split only at the line ends of a file."""

    def splitlines(self):
        return (self[:-1] if self[-1:] == "\n" else self).split("\n")


def position(at=None):
    """Return the position of the node `at`, as arguments for a new node."""
    if at is None:
        return {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    return {
        "lineno": at.lineno,
        "col_offset": at.col_offset,
        "end_lineno": at.end_lineno,
        "end_col_offset": at.end_col_offset,
    }


# NOWHERE is the file and line that CPython shows for a warning if no frame exists.
NOWHERE = ("<sys>", _ast.Pass(**dict.fromkeys(position(), 0))) if sys.version_info >= (3, 14) else ("sys", _ast.Pass(**position()))


def attempt(body, handler, first, last):
    handlers = [_ast.ExceptHandler(None, None, handler, **position(last))]
    return _ast.Try(body, handlers, [], [], **position(first))


def is_docstring(node):
    return isinstance(node, _ast.Expr) and isinstance(node.value, _ast.Constant) and isinstance(node.value.value, str)


def is_future(node):
    return isinstance(node, _ast.ImportFrom) and node.module == "__future__"


def number_classes(tree, code, before):
    """Give classes the line at which they begin in the text of all runs together.

    To find a class, the module inspect searches the file of the class's module. All runs
    share this file.
    """
    if sys.version_info < (3, 13) or before == 0 or b"class" not in code:
        return
    bodies = [tree.body]
    while bodies:
        for node in bodies.pop():
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                below = getattr(node, field, None)
                if type(below) is list:
                    bodies.append(below)
            if isinstance(node, _ast.ClassDef):
                first = node.decorator_list[0] if node.decorator_list else node
                where = position(node)
                name = _ast.Name("__firstlineno__", _ast.Store(), **where)
                number = _ast.Constant(before + first.lineno, **where)
                at = 1 if is_docstring(node.body[0]) else 0
                node.body.insert(at, _ast.Assign([name], number, **where))


def is_awaitable(tree, known):
    """Return whether all names exist that a program awaits at its top level.

    Outside a session, CPython refuses a top-level await before the program starts.
    Without this check, a program that awaits an unknown name would fail halfway instead.
    """
    roots = set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, _ast.Name) and not isinstance(node.ctx, _ast.Load):
            known.add(node.id)
        elif isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, (_ast.Import, _ast.ImportFrom)):
            if node.names[0].name == "*":
                return True
            known.update((n.asname or n.name).partition(".")[0] for n in node.names)
        for name in ("name", "rest"):  # Exception handlers and patterns bind names.
            if type(getattr(node, name, None)) is str:
                known.add(getattr(node, name))
        if isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.Lambda)):
            continue
        if isinstance(node, _ast.Await):
            roots.add(root(node.value))
        elif isinstance(node, _ast.AsyncFor) or isinstance(node, _ast.comprehension) and node.is_async:
            roots.add(root(node.iter))
        elif isinstance(node, _ast.AsyncWith):
            roots.update(root(i.context_expr) for i in node.items)
        for field in node._fields:
            below = getattr(node, field, None)
            if type(below) is list:
                nodes += [b for b in below if isinstance(b, _ast.AST)]
            elif isinstance(below, _ast.AST):
                nodes.append(below)
    return roots <= known | {None}


def root(node):
    """Return the name with which an expression starts, or None."""
    while not isinstance(node, _ast.Name):
        for field in ("func", "value"):
            if isinstance(getattr(node, field, None), _ast.AST):
                node = getattr(node, field)
                break
        else:
            return "" if isinstance(node, _ast.Constant) else None
    return node.id
