"""Makes the module __main__ of processes that multiprocessing spawns in a session.

A spawned process executes the file of its parent's __main__. Then it has the functions
and classes that the parent sends by name. A session has no such file, and to execute all
its runs again would repeat their effects. So the file contains only their definitions:
imports, functions, classes, and values made of constants and of other definitions.
session.py loads this module when the program spawns a process.
"""

import _ast
import _frozen_importlib_external
import marshal
import os

# SPAWNED is the file that a spawned process executes as __main__. Programs see the name
# MAIN instead. The function load() in usercustomize.py sets the variables MAIN and
# HIDDEN.
SPAWNED = "/run/main.py"
# MAX_SOURCE and MAX_FILE are the maximum sizes of the session's source and of the
# file SPAWNED, in bytes.
MAX_SOURCE, MAX_FILE = 512 << 10, 768 << 10

# CALL is the first statement of the file SPAWNED. It executes PRELUDE. In CALL, the
# placeholder CODE stands for the compiled prelude, and the placeholder TEXT stands for
# the session's source.
CODE, TEXT = "\0code", "\0text"
CALL = f"exec({CODE!r}, {{'names': globals(), 'text': {TEXT!r}, 'MAIN': {MAIN!r}, 'SPAWNED': {SPAWNED!r}}})"
PRELUDE = """
import os, sys
names["__file__"] = MAIN
def get_text(*_):
    return text
if not os.access("/work/linecache.py", os.F_OK):
    import linecache
    linecache.cache[MAIN] = (get_text,)
spawn = sys.modules["multiprocessing.spawn"]
def mapped(original):
    def get_preparation_data(name):
        data = original(name)
        if data.get("init_main_from_path") == MAIN:
            data["init_main_from_path"] = SPAWNED
        return data
    return get_preparation_data
spawn.get_preparation_data = mapped(spawn.get_preparation_data)
"""


class SpawnedMain:
    """Writes the definitions of a session's runs to the file SPAWNED, as compiled code.

    Tracebacks show the name MAIN and the lines of the session.
    """

    def __init__(self, known):
        """known contains the names that every process has."""
        self.definitions = Definitions(known)
        self.kept = []

    def update(self, lines, future):
        """Add the definitions in the new lines of the session. future holds its __future__ flags."""
        new = lines[len(self.kept) :]
        if not new:
            return
        kept = ["\n"] * len(new)
        if sum(map(len, lines)) <= MAX_SOURCE:
            try:
                tree = compile("".join(new), MAIN, "exec", _ast.PyCF_ONLY_AST | future, dont_inherit=True)
                kept = self.definitions.pick(tree, new)
            except SyntaxError:
                pass  # The lines declare an encoding other than UTF-8.
        self.kept += kept
        self.write("".join(lines), future)

    def write(self, text, future):
        tree = compile("".join(self.kept), MAIN, "exec", _ast.PyCF_ONLY_AST | future, dont_inherit=True)
        call = compile(CALL, MAIN, "exec", _ast.PyCF_ONLY_AST)
        tree.body[:0] = call.body
        code = compile(tree, MAIN, "exec", future, dont_inherit=True)
        prelude = compile(PRELUDE, HIDDEN, "exec", dont_inherit=True)
        for source in (text, ""):
            marks = {CODE: prelude, TEXT: source}
            constants = tuple(marks.get(c, c) if type(c) is str else c for c in code.co_consts)
            data = marshal.dumps(code.replace(co_consts=constants))
            if len(data) <= MAX_FILE:
                break
        else:
            return  # Keep the file with the earlier definitions.
        data = _frozen_importlib_external.MAGIC_NUMBER + bytes(12) + data
        fd = os.open(SPAWNED, os.O_WRONLY | os.O_TRUNC)
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)


FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)


class Definitions:
    """Selects the definitions of successive runs."""

    def __init__(self, known):
        # known contains the names that a definition may use. After an import of `*`,
        # known is None: a definition may then use any name.
        self.known = set(known)

    def pick(self, tree, lines):
        """Return the lines. Lines that do not belong to a definition are empty."""
        kept = [""] * len(lines)
        end = 0
        body = tree.body
        for i, node in enumerate(body):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            following = body[i + 1].lineno if i + 1 < len(body) else len(lines) + 1
            # Leave out a statement that shares a line with another statement.
            if first > end and node.end_lineno < following and self.defines(node):
                kept[first - 1 : node.end_lineno] = lines[first - 1 : node.end_lineno]
            end = node.end_lineno
        return [line.rstrip("\r\n") + "\n" for line in kept]

    def defines(self, node):
        if isinstance(node, _ast.Import):
            self.know((n.asname or n.name).partition(".")[0] for n in node.names)
        elif isinstance(node, _ast.ImportFrom):
            if node.module == "__future__":
                return False  # Such an import must be the first statement of a file.
            if node.names[0].name == "*":
                self.known = None
            self.know(n.asname or n.name for n in node.names)
        elif isinstance(node, (*FUNCTIONS, _ast.ClassDef)):
            if not self.uses_known(node, calls=True):
                return False
            self.know([node.name])
        elif isinstance(node, (_ast.Assign, _ast.AnnAssign)):
            targets = node.targets if isinstance(node, _ast.Assign) else [node.target]
            if node.value is None or not all(isinstance(t, _ast.Name) for t in targets):
                return False
            if not self.uses_known(node.value, calls=False):
                return False
            self.know(t.id for t in targets)
        elif isinstance(node, _ast.Try):
            # Include "try" statements, because programs often use them to import an
            # optional module.
            bodies = [node.body, node.orelse, node.finalbody, *(h.body for h in node.handlers)]
            return all(self.defines(below) for body in bodies for below in body)
        else:
            return isinstance(node, _ast.Pass)
        return True

    def know(self, names):
        if self.known is not None:
            self.known.update(names)

    def uses_known(self, node, calls):
        """Return whether another process can evaluate the definition with the names that it knows."""
        own = set()
        used = set()
        nodes = [node]
        while nodes:
            node = nodes.pop()
            if isinstance(node, _ast.Name):
                (used if isinstance(node.ctx, _ast.Load) else own).add(node.id)
            elif isinstance(node, (_ast.Await, _ast.Yield, _ast.YieldFrom, _ast.NamedExpr)):
                return False
            elif isinstance(node, _ast.Call) and not calls:
                return False
            if isinstance(node, FUNCTIONS):
                own.add(node.name)
                # Do not check the body of the function. The definition does not evaluate
                # the body. Only a call of the function evaluates the body.
                nodes += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
            elif isinstance(node, _ast.Lambda):
                nodes += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            else:
                for field in node._fields:
                    below = getattr(node, field, None)
                    nodes += [b for b in (below if type(below) is list else [below]) if isinstance(b, _ast.AST)]
        return self.known is None or used - own <= self.known
