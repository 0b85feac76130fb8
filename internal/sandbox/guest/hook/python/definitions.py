"""What the processes that multiprocessing spawns take for a session's __main__.

Such a process executes the file of its parent's __main__, so that it has the
functions and classes which it is told of. A session has no file, and to repeat
all of its runs would repeat what they do. So its file has their definitions:
imports, functions, classes, and values that are made of constants and of these.
session.py loads this module when a program speaks of multiprocessing.
"""

import _ast

FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)


class Definitions:
    """Picks the definitions out of one run after the other."""

    def __init__(self, known):
        # Names that a definition may use. None is any, after an import of *.
        self.known = set(known)

    def pick(self, tree, lines):
        """Returns the lines; those of all but definitions are empty."""
        kept = [""] * len(lines)
        end = 0
        body = tree.body
        for i, node in enumerate(body):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            following = body[i + 1].lineno if i + 1 < len(body) else len(lines) + 1
            # What shares a line with something else is left out.
            if first > end and node.end_lineno < following and self.defines(node):
                kept[first - 1 : node.end_lineno] = lines[first - 1 : node.end_lineno]
            end = node.end_lineno
        return [line.rstrip("\r\n") + "\n" for line in kept]

    def defines(self, node):
        if isinstance(node, _ast.Import):
            self.know((n.asname or n.name).partition(".")[0] for n in node.names)
        elif isinstance(node, _ast.ImportFrom):
            if node.module == "__future__":
                return False  # It would not be the first statement.
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
            # As of a module that need not be there.
            bodies = [node.body, node.orelse, node.finalbody, *(h.body for h in node.handlers)]
            return all(self.defines(below) for body in bodies for below in body)
        else:
            return isinstance(node, _ast.Pass)
        return True

    def know(self, names):
        if self.known is not None:
            self.known.update(names)

    def uses_known(self, node, calls):
        """Whether what is evaluated for a definition can be, in another process."""
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
                # Its body is evaluated when it is called.
                nodes += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
            elif isinstance(node, _ast.Lambda):
                nodes += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            else:
                for field in node._fields:
                    below = getattr(node, field, None)
                    nodes += [b for b in (below if type(below) is list else [below]) if isinstance(b, _ast.AST)]
        return self.known is None or used - own <= self.known
