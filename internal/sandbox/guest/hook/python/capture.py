"""Reports the end of main.py and the value of its final expression.

usercustomize.py loads this module before it waits for a program.

CPython itself runs main.py, which may contain compiled code instead of source. So this
module writes the program's code, compiled and with two added calls, to main.py. The call
after the final expression shows its value. The call at the start restores the source in
main.py, and leaves an object at the bottom of the frame's stack. CPython drops this
object when the frame ends for any reason, and the object's destructor reports the end.
The frames, lines and positions of the program do not change.
"""

import _ast
import _frozen_importlib_external
import builtins
import marshal
import os
import sys

# The function load() sets the variable MAIN, which is the path of the program.

# START, SHOW, END and VALUE are names of the hook's objects in the compiled code. No
# program can use such names.
START, SHOW, END, VALUE = "<start>", "<show>", "<end>", "<value>"
# The function last_statement searches backwards from the end of a large source. It
# searches about TAIL bytes. It tries to parse the source from the start of a line to the
# end, and does this for at most TRIES lines.
TRIES, TAIL = 20, 64 << 10

# INSTRUCTIONS maps versions of Python to their opcodes. With a version that is not in the
# map, an uncaught exception is reported only when the interpreter ends.
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

    If the program reaches its final expression, show() is called before end(), and gets
    the value from final_value(). show is None if no values are wanted. If the source is
    large, show() is not called, and kept_value() returns the value at the end.

    The object said records the compiler's warnings. tree is the program's syntax tree.
    It is None for a large source, because compilation with a tree needs 50% more memory.

    Return whether this works. It does not work if the program has a syntax error, which
    CPython then reports itself.
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
        stderr.write(said.text)  # CPython will not repeat these warnings.
    return True


# kept holds the value of a large source's final expression until kept_value() is
# called.
kept = []


def kept_value():
    """Return and forget the value of a large source's final expression, or None."""
    vars(builtins).pop(END, None)
    return kept.pop() if kept else None


def final_value(function):
    """Call function with the value that the program has assigned to the name VALUE."""
    vars(builtins).pop(SHOW, None)
    frame = ours = sys._getframe()
    while frame.f_code.co_filename == ours.f_code.co_filename:
        frame = frame.f_back
    names = frame.f_globals
    del frame, ours
    try:
        function(names.get(VALUE))
    finally:
        names.setdefault(VALUE, None)  # The compiled program deletes this name.


def compiled(source, shows_values, said, tree):
    """Return the code for main.py, and a function that makes the object that reports its end."""
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
        # Python has compiled the source twice, and each compilation can give the same
        # warnings. Keep only the warnings of one compilation.
        said.text = ""
        compile(source, MAIN, "exec", dont_inherit=True)
    return (code, calls) if ISA is None else (with_guard(code), guard)


def place(code, begin):
    """Write compiled code to main.py. When CPython has read it, restore the source.

    The code calls START, which returns the result of begin().
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
        return "None"  # Trace functions see this object as the return value of the frame.


def guard(end):
    """Return an object that calls end() when it is dropped."""
    Guard.__del__ = staticmethod(end)
    return Guard()


def appending_guard(end):
    """Return a guard that is a list, to which the code appends the value of its final expression."""

    class List(list):
        __slots__ = ()
        __repr__ = Guard.__repr__

        def __del__(self):
            if self:
                kept.append(self.pop())
            end()

    return List()


def calls(end):
    """Make END call end(). The program's last statement is a call of END."""
    setattr(builtins, END, end)


def names_value(tree, source):
    """Add a call that shows the value of the final expression, if there is one.

    The value is assigned to a name, which is deleted after the call of SHOW. So the value
    is dropped at the same place as without the hook.
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
    """Add calls at the program's start and end, for Python versions with unknown opcodes."""
    body = tree.body
    first = 0
    while first < len(body) and (is_docstring(body[first], first) or is_future(body[first])):
        first += 1
    at = body[first] if first < len(body) else body[-1]
    body.insert(first, statement(START, at))
    body.append(statement(END, body[-1]))


def statement(name, at):
    """Return a statement that calls `name`, with the position of the node `at`."""
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
    """Return whether the program's final expression may have a value to show."""
    if isinstance(value, _ast.Constant) and value.value is None:
        return False
    if isinstance(value, _ast.Call) and isinstance(value.func, _ast.Name):
        if value.func.id in ("print", "exit", "quit", "display"):
            return False
    return not follows_semicolon(value, source)


def follows_semicolon(value, source):
    """Return whether a semicolon follows the expression. As in a notebook, it hides the value."""
    lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    rest = lines[value.end_lineno - 1 :]
    if not rest:
        return False
    try:
        line = rest[0].decode()
    except UnicodeDecodeError:
        line = rest[0].decode("latin-1")
    # CPython counts columns in bytes of UTF-8, without the byte order mark.
    rest[0] = line.lstrip("\ufeff").encode()[value.end_col_offset :]
    # The text after the expression may contain comments, but no strings. So each "#"
    # begins a comment.
    return any(b";" in part.partition(b"#")[0] for part in rest)


def with_guard(code):
    """Return the code with a call of START before its first instruction.

    The result of the call stays at the bottom of the stack. The code returns this result
    instead of None, so CPython drops it after the frame has ended. If an exception ends
    the frame, CPython drops the result with the rest of the stack.
    """
    code = returns_bottom(code).replace(co_names=code.co_names + (START,))
    return with_call(code, "LOAD_NAME", len(code.co_names) - 1, True)


def returns_bottom(code):
    """Return a module's code, changed to return the bottom of the stack instead of None."""
    body = bytearray(code.co_code)
    returns = ISA["RETURN_VALUE"]
    for at in range(0, len(body), 2):
        if body[at] == returns and at and body[at - 2] == ISA["LOAD_CONST"]:
            body[at - 2 : at] = ISA["NOP"], 0
        elif body[at] == ISA.get("RETURN_CONST"):
            body[at : at + 2] = returns, 0
    return code.replace(co_code=bytes(body))


def code_calling(code, function):
    """Return a function's code, changed to call another function first."""
    return with_call(code.replace(co_consts=code.co_consts + (function,)), "LOAD_CONST", len(code.co_consts), False)


def with_call(code, load, index, keep):
    """Return the code with a call before its first traceable instruction.

    `load` names the instruction that loads the function to call, and `index` is the
    argument of this instruction. If keep is true, the result of the call stays on the
    stack.
    """
    sample = compile("f()", "", "eval").co_code
    call = bytearray(sample[2:-2])  # Without RESUME at the start and the return at the end.
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
    """Return the bytes of the instruction `load` with an argument of any size."""
    loaded = bytearray()
    for shift in (24, 16, 8):
        if index >> shift:
            loaded += bytes((ISA["EXTENDED_ARG"], index >> shift & 0xFF))
    return loaded + bytes((ISA[load], index & 0xFF))


def nowhere(units):
    """Return entries of the position table for instructions that have no position."""
    return bytes(0xF8 | min(8, units - n) - 1 for n in range(0, units, 8))


def moved_handlers(table, units, depth):
    """Return the exception table for code that starts later and has a deeper stack."""
    handlers = read_handlers(table)
    return write_handlers((s + units, length, t + units, stack + 2 * depth) for s, length, t, stack in handlers)


def read_handlers(table):
    """Return the entries of an exception table.

    An entry has four numbers: start, length, target, and the stack depth with a flag as
    the lowest bit. A number is stored in groups of six bits. Bit 7 marks the first byte
    of an entry. Bit 6 marks a byte after which the number continues.
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
    """Return an exception table with these entries."""
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


# For an expression of one of these types, the last instruction leaves the value on
# the stack.
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
    """Return code that appends the value of a large source's final expression to a list.

    depth is the position of the list on the stack, where 1 is the top. Return None if
    there is no value, or if a short search does not find it.
    """
    final, lines = last_statement(source)
    if not isinstance(final, _ast.Expr) or not isinstance(final.value, PLAIN):
        return None
    body = bytearray(code.co_code)
    tail = [ISA["POP_TOP"], ISA.get("RETURN_CONST", ISA["LOAD_CONST"]), ISA["RETURN_VALUE"]]
    size = 2 if "RETURN_CONST" in ISA else 3
    if list(body[-2 * size :: 2]) != tail[:size]:
        return None
    # The values in "tail" are the last opcodes of the program. The instruction before
    # these opcodes must be the last instruction of the expression.
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
    """Return the last statement of a large source, and its line offset.

    The search starts at the end. A part of the source that begins with a statement can be
    parsed separately. Its first line may be inside a string of the source, and only look
    like a statement. The caller detects this by comparing positions.
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
