"""Sends rich values to the agent: the values that a program displays, and its open figures.

usercustomize.py loads this module before it waits for a program. The methods that convert
a value can run any code, but must not change how the program ends. So this module catches
their exceptions. At the end of a program it also limits their time and memory.
"""

import _io
import _thread
import _weakref
import builtins
import os
import sys

# MAX_TEXT is the maximum length of the text of a value, in characters.
MAX_TEXT = 100_000
# MAX_MESSAGE is the maximum size of a message to the agent, in bytes. A message
# contains all forms of one value.
MAX_MESSAGE = 8 << 20
# An integer with more than MAX_BITS bits is not converted to digits, because the time
# grows with the square of the length.
MAX_BITS = 1_000_000


class Results:
    """Sends the values that the program displays to the agent."""

    # forms contains media types, the methods that convert a value to them, and the types
    # that the methods may return. The methods have the same names as in IPython. The
    # types are checked because a mock object has every method, and such a method can
    # return a value of any type.
    forms = (
        ("text/html", "_repr_html_", str),
        ("text/markdown", "_repr_markdown_", str),
        ("image/svg+xml", "_repr_svg_", str),
        ("image/png", "_repr_png_", (bytes, bytearray, memoryview, str)),
        ("image/jpeg", "_repr_jpeg_", (bytes, bytearray, memoryview, str)),
        ("application/pdf", "_repr_pdf_", (bytes, bytearray, memoryview, str)),
        ("text/latex", "_repr_latex_", str),
        ("application/json", "_repr_json_", (dict, list, str)),
        ("application/javascript", "_repr_javascript_", str),
    )

    def __init__(self, library, codec):
        """library() returns the import system from before the program began."""
        self.library = library
        # codec contains the global variables of protocol.py.
        self.codec = codec
        self.lock = _thread.allocate_lock()
        self.figures = Figures(self)
        self.is_wanted = True

    @property
    def wanted(self):
        """Whether values are sent. It must be set before a program runs. Setting it to true calls watch()."""
        return self.is_wanted

    @wanted.setter
    def wanted(self, wanted):
        self.is_wanted = wanted
        if wanted:
            self.watch()

    def display(self, *values):
        """Send values to the agent, each in its richest forms."""
        for value in values:
            try:
                self.send(self.bundle(value))
            except (Exception, SystemExit):
                pass  # The value cannot be shown.

    def last(self, value):
        """Show the value of the final expression, as a notebook does."""
        if value is None:
            return
        try:
            self.display(value)
        except BaseException:
            pass  # An interrupt has ended the display of the value.

    def open_figures(self):
        """Show the open figures of pyplot that are new or have changed."""
        try:
            self.figures.show_open()
        except BaseException:
            pass  # A figure cannot be drawn.

    def close_figures(self):
        self.figures.close_all()

    def watch(self):
        """Make pyplot.show() show the open figures, as soon as pyplot is imported."""
        try:
            self.figures.watch()
        except Exception:
            pass  # The program has changed the import system.

    def bundle(self, value):
        """Return the forms of a value, by media type."""
        bundle = {}
        if claims_everything(value):
            return {"text/plain": text(value)}
        method = method_of(value, "_repr_mimebundle_")
        if method is not None:
            try:
                made = method(include=None, exclude=None)
                if isinstance(made, tuple):  # The second element is metadata.
                    made = made[0]
                if isinstance(made, dict):
                    bundle.update((k, v) for k, v in made.items() if isinstance(k, str) and v is not None)
            except (Exception, SystemExit):
                pass  # Continue as if the value had no such method.
        for media, name, kinds in self.forms:
            method = None if media in bundle else method_of(value, name)
            if method is None:
                continue
            try:
                data = method()
            except (Exception, SystemExit):
                continue
            if isinstance(data, tuple) and data:
                data = data[0]
            if isinstance(data, kinds):
                bundle[media] = data
        if is_figure(value) and "image/png" not in bundle:
            try:
                bundle["image/png"] = self.figures.draw(value)
            except (Exception, SystemExit):
                pass
        if "text/plain" not in bundle:
            try:
                bundle["text/plain"] = text(value)
            except (Exception, SystemExit):
                pass  # The other forms are sent.
        return bundle

    def encode(self, media, data):
        if media == "application/json" or media.endswith("+json"):
            if not isinstance(data, str):
                try:
                    data = self.dumps(data)
                except (TypeError, ValueError, RecursionError):
                    data = ""  # Not JSON. The server reports that it left this out.
        if isinstance(data, str):
            return str.encode(data, "utf-8", "replace")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("a form must be text or bytes")
        with self.library().importing():
            import binascii
        return binascii.b2a_base64(data, newline=False)

    def dumps(self, data):
        # Import json from the standard library, because the program's directory may
        # contain another json.py.
        with self.library().importing():
            import json
        return json.dumps(data)

    def send(self, bundle):
        if not self.wanted or not bundle:
            return
        fields, size = [], 0
        for media, data in bundle.items():
            try:
                form = str.encode(media, "utf-8", "replace"), self.encode(media, data)
            except (Exception, SystemExit):
                continue
            needed = sum(4 + len(part) for part in form)
            if size + needed > MAX_MESSAGE:
                continue  # The other forms are sent.
            fields += form
            size += needed
        if not fields:
            return
        message = self.codec["frame"](self.codec["RESULT"], *fields)
        try:
            with self.lock:
                fd = open_file("/run/results", os.O_WRONLY)
                try:
                    while message:
                        del message[: write(fd, message)]
                finally:
                    close_file(fd)
        except OSError:
            pass  # Nothing reads the FIFO any more.


# Keep the original functions, because the program may replace them.
open_file, write, close_file = os.open, os.write, os.close


def claims_everything(value):
    """Return whether a value claims to have an attribute that no value really has.

    Mocks, modules with __getattr__ and stubs of remote objects seem to have any
    attribute. Their forms would be meaningless.
    """
    try:
        return getattr(value, "_ipython_canary_method_should_not_exist_", None) is not None
    except (Exception, SystemExit):
        return True


def method_of(value, name):
    """Return the method that converts the value, or None."""
    try:
        # Ignore the methods of a class, because they convert instances of the class and
        # not the class itself.
        if isinstance(value, type):
            return None
        method = getattr(value, name, None)
        return method if callable(method) else None
    except (Exception, SystemExit):
        return None


def is_figure(value):
    kind = type(value)
    try:
        return kind.__name__ == "Figure" and kind.__module__.partition(".")[0] == "matplotlib"
    except (Exception, SystemExit):
        return False


def text(value):
    """Return the first MAX_TEXT characters of repr(value). Avoid a much longer text in memory."""
    try:
        if is_small(value):
            made = exact(repr(value))
        else:
            made = ""
            for piece in pieces(value, set()):
                made += piece
                if len(made) > MAX_TEXT:
                    break
    except ValueError as error:
        # The program has set a limit for the number of digits, so the conversion fails.
        # Show the error instead of the value.
        if "set_int_max_str_digits" not in str(error):
            raise
        made = f"<{type(value).__name__}: {error}>"
    return made if len(made) <= MAX_TEXT else made[:MAX_TEXT] + "\u2026"


def is_small(value):
    """Return whether repr(value) is short, apart from objects that are not of built-in types."""
    left, waiting = MAX_TEXT, [value]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        left -= 1
        if kind in (str, bytes, bytearray):
            left -= len(value)
        elif kind is int:
            left -= value.bit_length() // 3
        elif kind in (list, tuple, set, frozenset, dict):
            left -= len(value) * (2 if kind is dict else 1)
            if left >= 0:
                waiting.extend(value)
                if kind is dict:
                    waiting.extend(value.values())
        if left < 0:
            return False
    return True


# SHAPES contains texts for built-in containers. The texts stand for an empty container,
# the start of a container, its end, and a container that contains itself.
SHAPES = {
    list: ("[]", "[", "]", "[...]"),
    tuple: ("()", "(", ")", "(...)"),
    set: ("set()", "{", "}", "set(...)"),
    frozenset: ("frozenset()", "frozenset({", "})", "frozenset(...)"),
    dict: ("{}", "{", "}", "{...}"),
}


def pieces(value, around):
    """Yield repr(value) in pieces. around holds the ids of the containers that contain the value."""
    kind = type(value)
    if kind in SHAPES:
        empty, begin, end, again = SHAPES[kind]
        if not value:
            yield empty
            return
        if id(value) in around:
            yield again
            return
        around.add(id(value))
        separator = begin
        for element in value.items() if kind is dict else value:
            yield separator
            if kind is dict:
                yield from pieces(element[0], around)
                yield ": "
                element = element[1]
            yield from pieces(element, around)
            separator = ", "
        if kind is tuple and len(value) == 1:
            yield ","
        yield end
        around.remove(id(value))
    elif kind in (str, bytes, bytearray) and len(value) > MAX_TEXT:
        yield beginning(value)
    elif kind is int and value.bit_length() > MAX_BITS and not digits_limited():
        yield f"<int of {value.bit_length()} bits>"
    else:
        yield exact(repr(value))


def beginning(value):
    """Return at least the first MAX_TEXT characters of a long string's repr."""
    if isinstance(value, str):
        single, double = "'", '"'
    else:
        single, double = b"'", b'"'
    # repr() chooses the quotes around a string by the quotes that the string contains.
    # The text here is only a part of the string. So add the quotes of the whole string to
    # the text.
    marks = value[:0]
    if single in value:
        marks += single
        if double in value:
            marks += double
    return repr(value[:MAX_TEXT] + marks)[: MAX_TEXT + 1]


def digits_limited():
    """Return whether the interpreter refuses to convert long integers to digits."""
    return getattr(sys, "get_int_max_str_digits", int)() > 0


def exact(made):
    """Return the string as a plain str, since it may be of a subclass that the program defined."""
    return str.__str__(made)


class Figures:
    """Shows the figures of matplotlib.pyplot that are new or have changed."""

    # keeping contains functions of pyplot that use the current figure even if this figure
    # has already been shown. All other functions draw. If the current figure has already
    # been shown, a function that draws begins a new figure, as in a notebook.
    keeping = (
        "clf",
        "close",
        "draw",
        "get_current_fig_manager",
        "savefig",
        "show",
        "subplots_adjust",
        "switch_backend",
        "tight_layout",
    )

    def __init__(self, results):
        self.results = results
        # shown maps the id of a figure to two values: a reference to the figure, and the
        # hash of the latest picture of the figure.
        self.shown = {}
        # ended contains references to the figures that were open at the last call of
        # pyplot.show().
        self.ended = []
        self.busy = False

    def draw(self, figure):
        """Return a picture of the figure, and remember that this state was shown."""
        buffer = _io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        picture = buffer.getvalue()
        try:
            reference = _weakref.ref(figure)
        except TypeError:
            reference = lambda: figure  # noqa: E731
        self.shown[id(figure)] = reference, hash(picture)
        if isinstance(getattr(figure, "stale", None), bool):
            figure.stale = False  # matplotlib sets it to true when the figure changes.
        return picture

    def last_shown(self, figure):
        """Return the hash of the figure's latest picture, or None if the figure was never shown."""
        reference, picture = self.shown.get(id(figure), (None, None))
        return picture if reference is not None and reference() is figure else None

    def show_open(self):
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None or not self.results.wanted:
            return
        for figure in open_figures(pyplot):
            try:
                before = self.last_shown(figure)
                if before is not None and (getattr(figure, "stale", None) is False or is_empty(figure)):
                    continue  # The figure has not changed, or was cleared after it was shown.
                picture = self.draw(figure)
                if hash(picture) != before:
                    self.results.send({"image/png": picture, "text/plain": text(figure)})
            except (Exception, SystemExit):
                pass  # This figure cannot be drawn.

    def close_all(self):
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")
        self.shown.clear()
        self.ended.clear()

    def watch(self):
        """Make pyplot.show() show figures, now or when the program imports pyplot."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            self.instrument(pyplot)
            return
        matplotlib = sys.modules.get("matplotlib")
        places = list(getattr(matplotlib, "__path__", ()))
        if not places:
            places = [f"{d}/matplotlib" for d in sys.path]
        for place in ("/work/matplotlib", *places):
            if place not in sys.path_importer_cache and os.path.isdir(place):
                watch_imports(place, {"matplotlib.pyplot": self.instrument})

    def instrument(self, pyplot):
        """Make pyplot.show() and pyplot.gcf() call methods of this object first."""
        show, gcf = getattr(pyplot, "show", None), getattr(pyplot, "gcf", None)
        kind = type(is_small)
        if type(show) is kind and self.code_calling is not None and not hasattr(show, "__wrapped__"):
            show.__code__ = self.code_calling(show.__code__, self.before_show)
            if type(gcf) is kind:
                self.current = kind(gcf.__code__, gcf.__globals__, "gcf", gcf.__defaults__, gcf.__closure__)
                gcf.__code__ = self.code_calling(gcf.__code__, self.before_gcf)

    # code_calling(code, function) returns a copy of the code. The copy first calls the
    # function. code_calling is None if the opcodes of this Python version are unknown.
    code_calling = None
    current = None

    def before_show(self):
        if self.busy or not self.results.wanted:
            return
        self.busy = True
        try:
            self.show_open()
            self.ended = [reference for reference, _ in self.shown.values()]
        except (Exception, SystemExit):
            pass
        finally:
            self.busy = False

    def before_gcf(self):
        """Begin a new figure if the caller draws and the current figure has been shown."""
        if self.busy or not self.ended:
            return
        caller, ours = sys._getframe(1), sys._getframe().f_code.co_filename
        while caller is not None and (caller.f_code.co_filename == ours or caller.f_code.co_name == "gcf"):
            caller = caller.f_back
        pyplot = sys.modules.get("matplotlib.pyplot")
        if caller is None or caller.f_globals is not vars(pyplot) or caller.f_code.co_name in self.keeping:
            return
        self.busy = True
        try:
            figure = self.current()
            if any(reference() is figure for reference in self.ended):
                self.ended.clear()
                number = max(pyplot.get_fignums()) + 1
                pyplot.close(figure)
                pyplot.figure(number)
        except (Exception, SystemExit):
            pass
        finally:
            self.busy = False


def watch_imports(place, instruments):
    """Call functions when the program imports certain modules from the directory `place`.

    instruments maps names of modules to functions, which get the module. To achieve this,
    the methods of the directory's finder and of the loaders are replaced. They are
    restored when the modules have been imported.
    """
    finder = sys.path_importer_cache.get(place)
    for make in () if finder is not None else sys.path_hooks:
        try:
            finder = make(place)
            break
        except ImportError:
            continue
    if not hasattr(finder, "__dict__"):
        return

    def find_spec(name, target=None):
        spec = type(finder).find_spec(finder, name, target)
        if name in instruments and spec is not None and hasattr(spec.loader, "__dict__"):
            loader = spec.loader

            def exec_module(module):
                del loader.exec_module
                instrument = instruments.pop(name, id)
                if not instruments and vars(finder).get("find_spec") is find_spec:
                    del finder.find_spec
                loader.exec_module(module)
                try:
                    instrument(module)
                except Exception:
                    pass  # This is not the expected module.

            loader.exec_module = exec_module
        return spec

    finder.find_spec = find_spec
    sys.path_importer_cache[place] = finder


def open_figures(pyplot):
    """Return the open figures, sorted by number. Avoid changing the current figure."""
    managers = getattr(sys.modules.get("matplotlib._pylab_helpers"), "Gcf", None)
    if managers is not None:
        return [manager.canvas.figure for _, manager in sorted(managers.figs.items())]
    return [pyplot.figure(number) for number in pyplot.get_fignums()]


def is_empty(figure):
    """Return whether a figure is empty, or False if that is unknown."""
    try:
        return not figure.get_children()[1:] and not figure.get_axes()
    except Exception:
        return False
