"""Reports the end of main.py and the value of its final expression.

usercustomize.py loads this module before it waits for a program. CPython runs main.py
itself. It also runs a main.py with compiled code. So this module writes compiled code
to main.py: the program's code with two added calls. The call after the final
expression shows its value. The call at the start restores the source and leaves an
object at the bottom of the frame's stack. CPython drops this object when the frame
ends for any reason, and the object's destructor reports the end. The frames, lines
and positions of the program do not change.
"""

import _ast
import _frozen_importlib_external
import builtins
import marshal
import os
import sys

# load() sets MAIN, the path of the program.

# Names by which the compiled code finds the hook's objects. No program can use them.
START, SHOW, END, VALUE = "<start>", "<show>", "<end>", "<value>"
# Limits for the search at the end of a large source: lines to try, and bytes to
# search.
TRIES, TAIL = 20, 64 << 10

# Opcodes by version of Python. With other versions, an end by an exception is
# reported only when the interpreter ends.
INSTRUCTIONS = {
    (3, 11): {
        "EXTENDED_ARG": 144,
        "LIST_APPEND": 145,
        "LOAD_CONST": 100,
        "LOAD_NAME": 101,
        "NOP": 9,
        "POP_TOP": 1,
        "RETURN_VALUE": 83,
    },
    (3, 12): {
        "EXTENDED_ARG": 144,
        "LIST_APPEND": 145,
        "LOAD_CONST": 100,
        "LOAD_NAME": 101,
        "NOP": 9,
        "POP_TOP": 1,
        "RETURN_CONST": 121,
        "RETURN_VALUE": 83,
    },
    (3, 13): {
        "EXTENDED_ARG": 71,
        "LIST_APPEND": 80,
        "LOAD_CONST": 83,
        "LOAD_NAME": 92,
        "NOP": 30,
        "POP_TOP": 32,
        "RETURN_CONST": 103,
        "RETURN_VALUE": 36,
    },
    (3, 14): {
        "EXTENDED_ARG": 69,
        "LIST_APPEND": 78,
        "LOAD_CONST": 82,
        "LOAD_NAME": 93,
        "NOP": 27,
        "POP_TOP": 31,
        "RETURN_VALUE": 35,
    },
}
ISA = INSTRUCTIONS.get(sys.version_info[:2])


def capture(source, end, show, said, tree):
    """Prepare main.py so that end() is called when the program ends.

    If the program reaches its final expression, show() is called first and gets the
    value from final_value(). If show is None, no values are wanted. For a large source,
    kept_value() returns the value at the end.

    Return whether this works. It does not if the program has a syntax error; CPython then
    reports the error itself. said records the compiler's warnings. tree is the program's
    syntax tree. It is None for a large source: its tree would need half as much memory
    again as its compilation.
    """
    stderr, sys.stderr = sys.stderr, said
    try:
        code, make = compiled(source, show is not None, said, tree)
    except BaseException:
        return False
    finally:
        sys.stderr = stderr
    if not place(code, lambda: make(end)):
        return False
    if SHOW in code.co_names:
        setattr(builtins, SHOW, show)
    if said.text:
        stderr.write(said.text)  # CPython does not repeat these warnings.
    return True


# Holds the value of the final expression of a large source until kept_value() is
# called.
kept = []


def kept_value():
    """Return the value of the final expression if it is still kept, and drop it."""
    vars(builtins).pop(END, None)
    return kept.pop() if kept else None


def final_value(function):
    """Call function with the value that the program has assigned for its final expression."""
    vars(builtins).pop(SHOW, None)
    frame = ours = sys._getframe()
    while frame.f_code.co_filename == ours.f_code.co_filename:
        frame = frame.f_back
    names = frame.f_globals
    del frame, ours
    try:
        function(names.get(VALUE))
    finally:
        names.setdefault(VALUE, None)  # The program deletes the name next.


def compiled(source, shows_values, said, tree):
    """Return the code for main.py, and a function that makes the object to report its end."""
    if ISA is not None and tree is None:
        code = compile(source, MAIN, "exec", dont_inherit=True)
        text = said.text
        appending = appends_value(code, source) if shows_values else None
        said.text = text
        if appending is not None:
            return with_guard(appending), appending_guard
        return with_guard(code), guard
    if tree is None:
        tree = compile(source, MAIN, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    if shows_values:
        names_value(tree, source)
    if ISA is None:
        add_calls(tree)
    code = compile(tree, MAIN, "exec", dont_inherit=True)
    if said.text:
        # Both compilations can give the same warnings. Keep those of one
        # compilation.
        said.text = ""
        compile(source, MAIN, "exec", dont_inherit=True)
    return (code, calls) if ISA is None else (with_guard(code), guard)


def place(code, begin):
    """Write the code to main.py until CPython has read it.

    The code calls START and gets the result of begin().
    """
    number = 0
    while os.path.lexists(aside := f"/work/.main.{number}.py"):
        number += 1

    def start():
        os.rename(aside, MAIN)
        del vars(builtins)[START]
        sys.modules["__main__"].__loader__ = _frozen_importlib_external.SourceFileLoader("__main__", MAIN)
        return begin()

    data = _frozen_importlib_external.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
    os.rename(MAIN, aside)
    try:
        fd = os.open(MAIN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
    except OSError:
        os.rename(aside, MAIN)  # The disk is full.
        return False
    setattr(builtins, START, start)
    return True


class Guard:
    """An object that reports the program's end when it is dropped. guard() sets its destructor."""

    __slots__ = ()

    def __repr__(self):
        return "None"  # A trace function sees it as the return value of the frame.


def guard(end):
    """Return an object that calls end() when it is dropped."""
    Guard.__del__ = staticmethod(end)
    return Guard()


def appending_guard(end):
    """Return an object to which the value of the final expression is appended."""

    class List(list):
        __slots__ = ()
        __repr__ = Guard.__repr__

        def __del__(self):
            if self:
                kept.append(self.pop())
            end()

    return List()


def calls(end):
    """Make the program's last statement call end()."""
    setattr(builtins, END, end)


def names_value(tree, source):
    """Show the value of the final expression, if there is one.

    The value is assigned to a name, and dropped after the call of SHOW. So it is
    dropped at the same place as without the hook.
    """
    final = tree.body[-1] if tree.body else None
    if not isinstance(final, _ast.Expr) or not shows(final.value, source):
        return
    where = place_of(final)
    if not is_docstring(final, len(tree.body) - 1):
        tree.body.pop()
    tree.body += (
        _ast.Assign([_ast.Name(VALUE, _ast.Store(), **where)], final.value, **where),
        statement(SHOW, final),
        _ast.Delete([_ast.Name(VALUE, _ast.Del(), **where)], **where),
    )


def add_calls(tree):
    """Put calls around the program where its code cannot be changed otherwise."""
    body = tree.body
    first = 0
    while first < len(body) and (is_docstring(body[first], first) or is_future(body[first])):
        first += 1
    at = body[first] if first < len(body) else body[-1]
    body.insert(first, statement(START, at))
    body.append(statement(END, body[-1]))


def statement(name, at):
    """Return a call at a node's position."""
    where = place_of(at)
    return _ast.Expr(_ast.Call(_ast.Name(name, _ast.Load(), **where), [], [], **where), **where)


def place_of(node):
    return {
        "lineno": node.lineno,
        "col_offset": node.col_offset,
        "end_lineno": node.end_lineno,
        "end_col_offset": node.end_col_offset,
    }


def is_docstring(node, index):
    return (
        index == 0
        and isinstance(node, _ast.Expr)
        and isinstance(node.value, _ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_future(node):
    return isinstance(node, _ast.ImportFrom) and node.module == "__future__"


def shows(value, source):
    """Return whether the final expression of a program may have a value to show."""
    if isinstance(value, _ast.Constant) and value.value is None:
        return False
    if isinstance(value, _ast.Call) and isinstance(value.func, _ast.Name):
        if value.func.id in ("print", "exit", "quit", "display"):
            return False
    return not follows_semicolon(value, source)


def follows_semicolon(value, source):
    """Return whether a semicolon follows the expression; it hides the value, as in a notebook."""
    lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    rest = lines[value.end_lineno - 1 :]
    if not rest:
        return False
    try:
        line = rest[0].decode()
    except UnicodeDecodeError:
        line = rest[0].decode("latin-1")
    # Columns count bytes of UTF-8, without a byte order mark.
    rest[0] = line.lstrip("\ufeff").encode()[value.end_col_offset :]
    # Only comments can follow the expression, no strings.
    return any(b";" in part.partition(b"#")[0] for part in rest)


def with_guard(code):
    """Return the code with a call of START at its start.

    The result of the call stays at the bottom of the stack. The code returns it instead
    of None, so CPython drops it after the frame. If an exception ends the frame, CPython
    drops it with the rest of the stack.
    """
    code = returns_bottom(code).replace(co_names=code.co_names + (START,))
    return with_call(code, "LOAD_NAME", len(code.co_names) - 1, True)


def returns_bottom(code):
    """Return code of a module that returns the bottom of the stack instead of None."""
    body = bytearray(code.co_code)
    returns = ISA["RETURN_VALUE"]
    for at in range(0, len(body), 2):
        if body[at] == returns and at and body[at - 2] == ISA["LOAD_CONST"]:
            body[at - 2 : at] = ISA["NOP"], 0
        elif body[at] == ISA.get("RETURN_CONST"):
            body[at : at + 2] = returns, 0
    return code.replace(co_code=bytes(body))


def code_calling(code, function):
    """Return code of a function that calls another function first."""
    return with_call(code.replace(co_consts=code.co_consts + (function,)), "LOAD_CONST", len(code.co_consts), False)


def with_call(code, load, index, keep):
    """Return the code with a call before its first traceable instruction.

    load and index are the instruction that loads the function to call. If keep is true,
    the result stays on the stack.
    """
    sample = compile("f()", "", "eval").co_code
    call = bytearray(sample[2:-2])  # Without RESUME and without the return.
    at = next(i for i in range(0, len(call), 2) if call[i] == ISA["LOAD_NAME"])
    call[at : at + 2] = loads(load, index)
    if not keep:
        call += bytes((ISA["POP_TOP"], 0))
    units = len(call) // 2
    return code.replace(
        co_code=bytes(call) + code.co_code,
        co_stacksize=max(code.co_stacksize + keep, 4),
        co_linetable=nowhere(units) + code.co_linetable,
        co_exceptiontable=moved_handlers(code.co_exceptiontable, units, keep),
    )


def loads(load, index):
    """Return the bytes of the instruction with the name load and an index of any size."""
    loaded = bytearray()
    for shift in (24, 16, 8):
        if index >> shift:
            loaded += bytes((ISA["EXTENDED_ARG"], index >> shift & 0xFF))
    return loaded + bytes((ISA[load], index & 0xFF))


def nowhere(units):
    """Return entries of the position table that mark instructions without a position."""
    return bytes(0xF8 | min(8, units - n) - 1 for n in range(0, units, 8))


def moved_handlers(table, units, depth):
    """Return a table of exception handlers for code with a later start and a deeper stack."""
    handlers = read_handlers(table)
    return write_handlers((s + units, length, t + units, stack + 2 * depth) for s, length, t, stack in handlers)


def read_handlers(table):
    """Return the entries of a table of exception handlers.

    An entry has four numbers: start, length, target, and the stack depth with a flag
    as its last bit. A number is stored in groups of six bits. The highest bit of a
    byte marks the start of an entry.
    """
    handlers, numbers, number = [], [], 0
    for byte in table:
        number = number << 6 | byte & 0x3F
        if byte & 0x40:
            continue
        numbers.append(number)
        number = 0
        if len(numbers) == 4:
            handlers.append(numbers)
            numbers = []
    return handlers


def write_handlers(handlers):
    """Return the table of these entries."""
    made = bytearray()
    for numbers in handlers:
        begin = len(made)
        for value in numbers:
            groups = [value & 0x3F]
            while value := value >> 6:
                groups.insert(0, value & 0x3F | 0x40)
            made += bytes(groups)
        made[begin] |= 0x80
    return bytes(made)


# The last instruction of these expressions leaves their value on the stack,
# whatever they contain.
PLAIN = (
    _ast.Name,
    _ast.Call,
    _ast.Attribute,
    _ast.Subscript,
    _ast.BinOp,
    _ast.List,
    _ast.Tuple,
    _ast.Dict,
    _ast.Set,
    _ast.JoinedStr,
)


def appends_value(code, source, depth=1):
    """Return code of a large source that appends the final value to a list.

    depth is the position of the list, counted from the top of the stack (1). Return None if
    there is no such value, or if a short search does not find it.
    """
    final, lines = last_statement(source)
    if not isinstance(final, _ast.Expr) or not isinstance(final.value, PLAIN):
        return None
    body = bytearray(code.co_code)
    tail = [ISA["POP_TOP"], ISA.get("RETURN_CONST", ISA["LOAD_CONST"]), ISA["RETURN_VALUE"]]
    size = 2 if "RETURN_CONST" in ISA else 3
    if list(body[-2 * size :: 2]) != tail[:size]:
        return None
    # The instruction before this tail must be at the end of the expression.
    last = None
    units = len(body) // 2 - size
    for index, position in enumerate(code.co_positions()):
        if index == units - 1:
            last = position
    value = final.value
    if last is None or last[1] != value.end_lineno + lines or last[3] != value.end_col_offset:
        return None
    body[-2 * size : -2 * size + 2] = ISA["LIST_APPEND"], depth
    return code.replace(co_code=bytes(body))


def last_statement(source):
    """Return the last statement of a large source, and the number of lines before the
    parsed part.

    The search starts at the end. Text from a line that begins a statement can be parsed
    separately. Text inside a string can look like a statement, too. The caller detects
    that by the positions.
    """
    text = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if any(b"coding" in line for line in text.split(b"\n", 2)[:2]):
        return None, 0
    begin, tries = len(text), 0
    while begin > 0 and tries < TRIES and len(text) - begin <= TAIL:
        begin = text.rfind(b"\n", 0, begin - 1) + 1
        if text[begin : begin + 1] in (b"", b" ", b"\t", b"\f", b"\n", b"#") or text[begin - 2 : begin] == b"\\\n":
            continue
        tries += 1
        try:
            tree = compile(text[begin:], MAIN, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
        except Exception:
            continue
        if tree.body and shows_last(tree.body[-1], text[begin:]):
            return tree.body[-1], text.count(b"\n", 0, begin)
        if tree.body:
            break
    return None, 0


def shows_last(node, source):
    return isinstance(node, _ast.Expr) and shows(node.value, source)
