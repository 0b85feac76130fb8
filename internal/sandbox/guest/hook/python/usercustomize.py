"""Makes an interpreter that has started wait for its program.

The guest agent starts `python3 main.py` with this module on PYTHONPATH. The interpreter
imports the module as the last step of its start-up, just before it opens main.py. The
module waits for its job. Then it removes all traces of itself, and the interpreter
continues as if it had just started. So CPython runs main.py as usual: tracebacks, exit
codes, atexit and __main__ are unchanged.

Processes that the program starts do not load this module. Sub-interpreters load this
module, because they start in the same way as the main interpreter. In a sub-interpreter,
the module only removes itself.
"""

import _imp
import marshal
import os
import sys

# Make a private copy of the dictionary with the built-in functions. All modules share the
# original dictionary, and programs may change it.
__builtins__ = dict(__builtins__)

# MAIN is the path of the program. The code objects of the hook have the file name
# HIDDEN instead of the name of their file. load() passes both constants to the
# modules that it loads.
MAIN = "/work/main.py"
HIDDEN = "<frozen importlib._bootstrap>"


def remove(hook_dir="/pyth-on/python"):
    import sys

    sys.path[:] = [p for p in sys.path if p != hook_dir]
    sys.path_importer_cache.pop(hook_dir, None)


def preload():
    """Import the modules that the operator has configured for all programs."""
    import os

    names = os.environ.pop("PYTH_ON_PRELOAD", "")
    for name in names.split(","):
        try:
            if name:
                __import__(name)
        except BaseException:
            pass  # The program gets the error if it imports the module.
    if names:
        import gc

        gc.collect()  # freeze() would keep the garbage forever.


def is_main():
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # its name before Python 3.13
        except ImportError:
            return True
    return interpreters.get_current() == interpreters.get_main()


def wait():
    import os
    import sys

    control = 3

    packages = find_packages()
    codec, ending = load("protocol"), load("ending")
    prepare()
    freeze()
    # The .pth files of the image may have loaded modules whose state must differ between
    # runs. In this case, make no checkpoint.
    os.read(control, 1)  # The agent has registered this process.
    seeded = {"random", "_ssl", "numpy"}.intersection(sys.modules)
    state = None if seeded else checkpoint(control)
    if state == MORE:
        names = [os.fsdecode(f) for f in codec["fields"](codec["receive"](control)[0])]
        ahead = load("ahead")
        forget(loaded)  # The program must not get the modules that this directory uses.
        ahead["import_all"](names)
        # Python may keep a descriptor of /dev/urandom open. Close this descriptor. Python
        # opens the file again when it needs the file.
        os.closerange(control + 1, 64)
        freeze()
        ahead["begin"]()
        state = checkpoint(control)
    if state != RESTORED:
        os.write(control, codec["frame"](codec["HELLO"]))
    mode, _, _, milliseconds, memory, args, env, source = codec["receive"](control)
    if mode == b"session":
        import fcntl

        # Some programs close all descriptors with low numbers, and most of these programs
        # stop below 1000. So use a descriptor from 1000 on.
        kept = fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, 1000)
    else:
        # Wait until the agent has closed its end of the socket. While this end is
        # open, programs can see it in /proc/net/unix.
        os.read(control, 1)
    os.close(control)
    args, env = ([os.fsdecode(f) for f in codec["fields"](part)] for part in (args, env))

    os.chdir("/work")
    os.environ.clear()
    for variable in env:
        name, _, value = variable.partition("=")
        os.environ[name] = value
    if "TZ" in os.environ:
        import time

        time.tzset()
    sys.argv.extend(args)
    getattr(sys, "orig_argv", []).extend(args)  # since Python 3.10

    library = list(sys.path)
    # Leave out two modules: __main__, whose content the program may destroy, and this
    # module, which does not exist while the program runs.
    modules = {n: m for n, m in sys.modules.items() if n in loaded and n not in ("__main__", __name__)}
    before.extend((library, list(sys.meta_path), list(sys.path_hooks), modules, __import__))
    add_packages(packages)
    if mode == b"session":
        begin_session(kept, library, int(memory))
        return
    source = source or read_program()
    thaw(source)
    shown = None
    if mode == b"results":
        import builtins

        shown = results
        builtins.display = display
    end = ending["Ending"](report, shown, int(milliseconds) / 1000, int(memory))
    if not capture_end(source, end, shown is not None):
        end.begin()
    if sys.version_info < (3, 10):
        loaded.add("atexit")  # nothing else keeps the module alive


# RESTORED and MORE are error numbers of checkpoint(). RESTORED (EALREADY) means that
# the kernel has restored the process. MORE (EAGAIN) means that the agent also wants
# imports and another checkpoint.
RESTORED, MORE = 114, 11


def checkpoint(control):
    """Ask the kernel to restore this process to this point when it exits.

    Each further run continues from here. So everything that belongs to one run must come
    after this call. Return the error number, or None after the checkpoint is made.
    """
    try:
        os.posix_fadvise(control, 0, 0, 0x706F)
    except OSError as error:
        return error.errno  # Other errors mean that this kernel restores no processes.
    return None


# A source with more than LARGE bytes is compiled without a syntax tree.
LARGE = 128 << 10


def capture_end(source, end, shows_values):
    """Make the program call end() when it ends. Return whether every kind of end calls it.

    end() is not called if the program has no value to show, seems to have no figures,
    and does not mention atexit. If there are figures after all, they are shown when the
    interpreter ends. end() is also not called if CPython must report an error in the
    source.
    """
    import sys

    said, tree = Recorder(), None
    figures = shows_values and b"import" in source and is_matplotlib_there()
    if figures:
        results().watch()
    elif not shows_values and b"atexit" not in source:
        return False
    if shows_values and len(source) <= LARGE:
        stderr, sys.stderr = sys.stderr, said
        try:
            tree = compile(source, MAIN, "exec", 0x400, dont_inherit=True)
        except BaseException:
            return False
        finally:
            sys.stderr = stderr
        shows_values = bool(tree.body) and may_show(tree.body[-1])
        if not shows_values and not figures and b"atexit" not in source:
            return False
    untraced, capture = load("ending")["untraced"], load("capture")

    def ended():
        end.show(capture["kept_value"]())
        end.ended()

    if shows_values:
        results()  # Do this now, since the program may change what results() needs.
    show = untraced(lambda: capture["final_value"](end.show)) if shows_values else None
    return capture["capture"](source, untraced(ended), show, said, tree) and capture["ISA"] is not None


def may_show(statement):
    """Return whether the last statement may be an expression with a value to show."""
    if type(statement).__name__ != "Expr":
        return False
    function = getattr(statement.value, "func", None)
    return getattr(function, "id", None) not in ("print", "exit", "quit", "display")


class Recorder:
    """A file that stores the text that is written to it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def is_matplotlib_there():
    """Return whether matplotlib seems to be installed. Use the directory caches of the finders."""
    import os
    import sys

    for directory in sys.path:
        known = getattr(sys.path_importer_cache.get(directory), "_path_cache", None)
        if "matplotlib" in known if known else os.path.lexists(directory + "/matplotlib"):
            return True
    return "matplotlib" in sys.modules or os.path.lexists("/work/matplotlib")


def results():
    """Return the object that sends the program's rich values."""
    if "shown" not in beside:
        beside["shown"] = Results(None)
    return beside["shown"]


def display(*values):
    """Show values in the results of the run, each in its richest forms."""
    results().display(*values)


# before contains the state of the import system before the program began. Its elements
# are the arguments of the class Library in report.py.
before = []
# beside maps names of modules to their global variables. It contains the loaded modules
# of this directory.
beside = {}


def load(name, directory="/pyth-on/python/"):
    """Load a module of this directory, if it is not loaded yet. Return its globals.

    The module is never in sys.modules. Its globals contain MAIN and HIDDEN from the
    start. Its functions have the file name of the import system. So warnings are
    attributed to the program that calls these functions, and nothing shows the path of
    this directory.
    """
    if name not in beside:
        code = read_code(name, directory)
        _imp._fix_co_filename(code, HIDDEN)
        names = {"__name__": "importlib._bootstrap", "__file__": HIDDEN, "MAIN": MAIN, "HIDDEN": HIDDEN}
        names["__builtins__"] = {**__builtins__, "__import__": find_module}
        exec(code, names)
        beside[name] = names
    return beside[name]


def read_code(name, directory):
    """Return a module's code. This takes half the system calls of the import system."""
    try:
        fd = os.open(f"{directory}__pycache__/{name}.{sys.implementation.cache_tag}.pyc", os.O_RDONLY)
    except OSError:
        import _frozen_importlib_external

        return _frozen_importlib_external.SourceFileLoader(name, f"{directory}{name}.py").get_code(name)
    try:
        return marshal.loads(os.read(fd, 1 << 20)[16:])
    finally:
        os.close(fd)


def find_module(name, *rest):
    """Import a library module for the modules of this directory.

    Use the import system from before the program. Do not import a hidden module
    (ahead.py), but use it directly. After an import, the module would no longer be
    hidden, and the program would have to load it again.
    """
    modules, importer = before[3:] if before else ({}, __import__)
    if "." not in name:
        if name in modules:
            return modules[name]
        hidden = beside["ahead"]["hidden"] if "ahead" in beside else {}
        if name in hidden:
            return hidden[name].module
    return importer(name, *rest)


def library():
    return load("report")["Library"](*before)


def describe(error, trace, name):
    """Return the name, message, traceback and line of an exception, as strings."""
    return load("report")["describe"](error, trace, name, library())


def report(error):
    codec = load("protocol")
    return codec["frame"](codec["REPORT"], *describe(error, load("report")["trace_of"](error), MAIN))


def Results(path):
    module, capture = load("results"), load("capture")
    if capture["ISA"] is not None:
        code_calling, untraced = capture["code_calling"], load("ending")["untraced"]
        module["Figures"].code_calling = staticmethod(lambda code, function: code_calling(code, untraced(function, again=True)))
    return module["Results"](library, load("protocol"))


def shows(value, source):
    return load("capture")["shows"](value, source)


def begin_session(control, library, memory):
    load("session")["Session"](control, library, memory, globals()).begin()


def freeze():
    """Exclude the objects that exist now from garbage collection.

    CPython would traverse them three times when it ends. But the program's objects in
    __main__ must be collected, so __main__ gets a new dictionary.
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
    """Undo freeze() if the program may notice it, because its source mentions gc."""
    imported = beside.get("ahead")
    if imported and b"__subclasses__" in source:
        import gc

        imported["drop"]()
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    if b"gc" in source:
        import gc

        gc.unfreeze()


def read_program():
    import os

    fd = os.open(MAIN, os.O_RDONLY)
    try:
        size, source = os.fstat(fd).st_size, b""
        # Use a buffer that is just large enough. A larger buffer would need a new memory
        # mapping.
        while len(source) < size and (part := os.read(fd, size - len(source))):
            source += part
    finally:
        os.close(fd)
    return source


def find_packages(directory="/opt/pyth-on/python-packages"):
    """Put the directory with the user's packages on the path, if there is one.

    Return the directory and the names of its .pth files. Python runs these files when it
    starts.
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
    """Process .pth files as the module site does, but within the time limit of the run."""
    directory, names = packages
    if not names:
        return
    import site
    import sys

    known = {site.makepath(p)[1] for p in sys.path}
    before = set(sys.modules)
    for name in names:
        site.addpackage(directory, name, known)
    # Keep the modules that the .pth files have imported, because these modules belong to
    # the program.
    loaded.update(set(sys.modules) - before)


def prepare():
    """Do in advance what the interpreter would do before it runs main.py."""
    import sys

    # Search for a module that does not exist. During this search, each finder on the path
    # reads and caches the list of files in its directory.
    for path in sys.path:
        finder = sys.path_importer_cache.get(path)
        if finder is not None:
            finder.find_spec("usercustomize")
    # Before the interpreter runs main.py, it checks whether main.py is an archive. The
    # value None in this cache means that main.py is not an archive.
    sys.path_importer_cache[MAIN] = None
    # The first execution of code is slow, because it loads memory pages. So execute
    # some code now.
    source = "def f(x):\n    return [x]\nfor i in 0, 1:\n    f(str(i))\n"
    exec(compile(compile(source, "main.py", "exec", 0x400), "main.py", "exec"), {})


def forget(loaded):
    import sys

    for name in set(sys.modules) - loaded - {__name__}:
        del sys.modules[name]


remove()
__import__("_imp")._fix_co_filename(__import__("sys")._getframe().f_code, HIDDEN)
preload()
loaded = set(__import__("sys").modules)
if is_main():
    wait()
else:
    add_packages(find_packages())
forget(loaded)
# The module site interprets this error as "there is no module usercustomize". importlib
# then removes the module usercustomize.
raise ImportError(name="usercustomize")
