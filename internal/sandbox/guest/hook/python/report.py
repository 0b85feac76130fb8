"""Reports an uncaught exception to the agent.

usercustomize.py loads this module after such an exception. The module must not rely on
anything that the program can change: modules of the program may have the names of library
modules, and methods of the exception may return anything.
"""

import builtins
import sys

# MAX_TRACEBACK and MAX_MESSAGE are the maximum lengths of the texts about an
# exception, in characters.
MAX_TRACEBACK = 65_536
MAX_MESSAGE = 16_384
MAX_NAME = 256


def describe(error, trace, name, library):
    """Return the name, message and traceback of the exception, and its line in the file `name`.

    The texts are the same as in CPython's own output. All four results are strings.
    library is the import system from before the program began.
    """
    for attempt in (library.importing, library.restored):
        try:
            with attempt():
                message, text = shown(error, trace)
            break
        except BaseException:
            continue
    else:
        message, text = plainly(error, trace)
    kind = exact(type.__dict__["__qualname__"].__get__(type(error)))
    return kind[:MAX_NAME], message[:MAX_MESSAGE], text[-MAX_TRACEBACK:], str(line(error, trace, name))


def shown(error, trace):
    """Return the message and the traceback of an exception, as CPython shows them."""
    import traceback

    compact = {"compact": True} if sys.version_info >= (3, 10) else {}
    streams = sys.stdout, sys.stderr
    # CPython has already printed warnings and the output of the exception's own methods.
    # Do not print them a second time.
    sys.stdout = sys.stderr = Sink()
    try:
        made = traceback.TracebackException(type(error), error, trace, **compact)
        # Use the texts in TracebackException. A call of str(error) would run code of the
        # program again.
        return exact(str(made)), exact("".join(made.format()))
    finally:
        sys.stdout, sys.stderr = streams


class Sink:
    """Discards what is written to it."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def plainly(error, trace):
    """Return the same as shown(), but without any module, since importing may have failed."""
    try:
        message = exact(str(error))
    except BaseException:
        message = "<exception str() failed>"
    lines = ["Traceback (most recent call last):\n"]
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n')
        trace = trace.tb_next
    kind = exact(type.__dict__["__qualname__"].__get__(type(error)))
    lines.append(f"{kind}: {message}\n" if message else f"{kind}\n")
    return message, "".join(lines)


def line(error, trace, name):
    """Return the line at which the exception was raised in the file `name`, or 0."""
    try:
        if isinstance(error, SyntaxError) and (error.filename or "").endswith(name):
            return int(error.lineno or 0)
    except BaseException:
        pass  # The program may have made the attributes unreadable.
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found or 0


def trace_of(error):
    """Return the traceback of an exception, without using attributes that its class may define."""
    return BaseException.__traceback__.__get__(error)


def exact(text):
    """Return the string as a plain str, since it may be of a subclass that the program defined."""
    return str.__str__(text)


class Library:
    """Imports modules of the standard library, regardless of what the program did.

    It keeps the import system from before the program began: the path without the
    program's directory, the finders and path hooks, the modules, and builtins.__import__.
    """

    def __init__(self, path, finders, makers, modules, importer):
        self.path, self.finders, self.makers = path, finders, makers
        self.modules, self.importer = modules, importer
        # home is the directory of the standard library. A module from another directory
        # belongs to the program.
        self.home = modules["os"].__file__[: -len("os.py")]

    def importing(self):
        """Return a context for imports that changes the program's modules as little as possible."""
        return self.restored() if self.is_shadowed() else self.current()

    def current(self):
        """Return a context in which imports also find modules that the program has imported."""
        return Swapped(self.settings(), None, self.importer)

    def restored(self):
        """Return a context in which imports work as if the program had imported nothing."""
        modules = dict(self.modules)
        if "__main__" in sys.modules:
            modules["__main__"] = sys.modules["__main__"]
        return Swapped(self.settings(), modules, self.importer)

    def settings(self):
        return {"path": self.path, "meta_path": self.finders, "path_hooks": self.makers}

    def is_shadowed(self):
        """Return whether a module of the program hides a library module."""
        names = getattr(sys, "stdlib_module_names", ())  # Since Python 3.10.
        for name, module in list(sys.modules.items()):
            if name == "__main__" or name.partition(".")[0] not in names:
                continue
            if module is None:
                return True
            file = vars(module).get("__file__") if type(module) is type(sys) else None
            if type(file) is str and not file.startswith(self.home):
                return True
        return False


class Swapped:
    """Replaces parts of the import system within a with statement.

    The argument settings contains new values for attributes of the module sys. If the
    argument modules is not None, it replaces sys.modules. In this case, all builtins
    also get the values from before the program.
    """

    def __init__(self, settings, modules, importer):
        names = {} if modules is None else dict(__builtins__)
        names["__import__"] = importer
        self.new = {name: list(value) for name, value in settings.items()}, modules, names

    def __enter__(self):
        settings, modules, _ = self.new
        self.old = (
            {name: getattr(sys, name) for name in settings if hasattr(sys, name)},
            None if modules is None else dict(sys.modules),
            dict(vars(builtins)),
        )
        self.set(*self.new)

    def __exit__(self, *raised):
        self.set(*self.old)

    def set(self, settings, modules, names):
        for name, value in settings.items():
            setattr(sys, name, value)
        if modules is not None:
            sys.modules.clear()
            sys.modules.update(modules)
        vars(builtins).update(names)
