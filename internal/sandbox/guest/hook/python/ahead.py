"""Imports common modules before the checkpoint and hides them from the program.

When the program imports a hidden module, it gets this module, and the import has all its
usual effects. If the program would load another file, or if the hidden module uses
a module that has changed, the module is loaded as usual instead.
"""

import builtins
import os
import sys
import time

import _frozen_importlib as importlib
import _frozen_importlib_external as external

# hidden maps module names to modules that are hidden from the program.
hidden = {}
# known maps module names to the modules that existed when hide() was called.
known = {}


# served contains the hidden modules that the program's current import has used so far.
served = []


class Hidden:
    """A hidden module and the effects of its import."""

    def __init__(self, name):
        self.name = name
        self.module = None
        # needs contains the names of the modules that the module has imported, in order.
        self.needs = []
        # values contains the objects that the module has imported from other modules.
        # Each entry is (module, attribute, value).
        self.values = []
        # changes contains the changes that the module has made to dictionaries of other
        # modules. Each entry is (dictionary, key, old value, new value).
        self.changes = []
        # attributes contains the attributes that the module has added to classes of _ast.
        # Each entry is (class, name, value).
        self.attributes = []
        # calls contains the functions that the module has registered. Each entry is
        # (function, arguments, named arguments).
        self.calls = []


class Missing:
    """Stands for the value of a key that a dictionary does not have."""


def import_all(wanted):
    """Import the modules with these names and hide them."""
    normal = builtins.__import__, importlib._load_unlocked
    stack, changed, importers = [], set(), dict(sys.path_importer_cache)

    def load_and_record(spec):
        entry = Hidden(spec.name)
        before = [(d, dict(d)) for d in dictionaries()]
        classes = [(c, set(vars(c))) for c in node_classes()] if spec.name == "ast" else []
        stack.append(entry)
        try:
            entry.module = normal[1](spec)
        finally:
            stack.pop()
        names = {spec.name, *hidden, *(e.name for e in stack)}
        for dictionary, old in before:
            for key, value in list(dictionary.items()):
                if old.get(key, Missing) is value or (id(dictionary), key) in changed or dictionary is sys.modules and key in names:
                    continue
                changed.add((id(dictionary), key))
                entry.changes.append((dictionary, key, old.get(key, Missing), value))
        for cls, old in classes:
            entry.attributes += [(cls, n, v) for n, v in vars(cls).items() if n not in old]
        hidden[spec.name] = entry
        return entry.module

    def import_and_record(name, globals=None, locals=None, fromlist=(), level=0):
        result = normal[0](name, globals, locals, fromlist, level)
        if stack:
            if level:
                name = importlib._resolve_name(name, importlib._calc___package__(globals), level)
            record(stack[-1], name, fromlist or ())
        return result

    def recording(function):
        def register(*args, **named):
            if stack:
                stack[-1].calls.append((function, args, named))
            return args[0] if args else None

        return register

    builtins.__import__, importlib._load_unlocked = import_and_record, load_and_record
    import_and_record("atexit")
    import_and_record("copyreg")  # Its table must exist before modules change it.
    import_and_record("_ast")  # Its classes must exist before modules change them.
    atexit = hidden["atexit"].module
    register = os.register_at_fork, atexit.register
    os.register_at_fork, atexit.register = map(recording, register)
    try:
        for name in wanted:
            try:
                import_and_record(name)
            except ImportError:
                pass  # This Python does not have the module.
    finally:
        builtins.__import__, importlib._load_unlocked = normal
        os.register_at_fork, atexit.register = register
    hide()
    sys.path_importer_cache.clear()
    sys.path_importer_cache.update(importers)


def begin():
    """Serve the program's imports from now on."""
    serve.normal_load = importlib._load_unlocked
    importlib._load_unlocked = serve


def dictionaries():
    """Yield dictionaries of modules that the import of another module can change."""
    yield from (sys.modules, sys.path_importer_cache, vars(importlib), vars(external))
    for name, attributes in (("copyreg", ("dispatch_table",)), ("re", ("_cache", "_cache2"))):
        for attribute in attributes:
            dictionary = getattr(sys.modules.get(name), attribute, None)
            if dictionary is not None:
                yield dictionary


def node_classes():
    """Return the classes of _ast. They are the same for all imports of a process."""
    return [c for c in vars(sys.modules["_ast"]).values() if isinstance(c, type)]


def record(entry, name, attributes):
    entry.needs.append(name)
    module = sys.modules[name]
    for attribute in attributes:
        if attribute == "*":
            public = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
            record(entry, name, public)
            continue
        value = getattr(module, attribute, None)
        if sys.modules.get(name + "." + attribute, Missing) is value:
            entry.needs.append(name + "." + attribute)
        else:
            entry.values.append((name, attribute, value))


def hide():
    known.update(sys.modules)
    for name, entry in reversed(hidden.items()):
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent and vars(known[parent]).get(child) is entry.module:
            delattr(known[parent], child)
        undo(entry)


def undo(entry):
    for dictionary, key, old, _ in reversed(entry.changes):
        if old is Missing:
            dictionary.pop(key, None)
        else:
            dictionary[key] = old
    for cls, name, _ in entry.attributes:
        if name in vars(cls):
            delattr(cls, name)


def serve(spec):
    """Load a module. Return the hidden module instead, if the program would load an equal one."""
    entry = hidden.get(spec.name)
    if entry is None or sys.gettrace() or sys.getprofile() or not is_same_file(spec, entry.module.__spec__):
        return serve.normal_load(spec)
    del hidden[spec.name]
    mark, before = len(served), set(sys.modules)
    served.append(entry)
    sys.modules[spec.name] = entry.module
    for dictionary, key, _, value in entry.changes:
        dictionary[key] = value
    for cls, name, value in entry.attributes:
        setattr(cls, name, value)
    if not provide(entry):
        # A hidden module cannot be used. Remove all modules that this import has loaded,
        # and load the module in the usual way.
        for entry in reversed(served[mark:]):
            undo(entry)
        del served[mark:]
        for name in set(sys.modules) - before:
            del sys.modules[name]
        return serve.normal_load(spec)
    # Move a loaded module to the end of sys.modules, as importlib does.
    sys.modules[spec.name] = sys.modules.pop(spec.name)
    if mark == 0:
        finish()
    return entry.module


def finish():
    """After an import by the program is complete, do what cannot be undone."""
    while served:
        entry = served.pop(0)
        for function, args, named in entry.calls:
            function(*args, **named)
        renew(entry.module)


def is_same_file(a, b):
    return a.origin == b.origin and a.cached == b.cached and type(a.loader) is type(b.loader)


def provide(entry):
    """Import what the module has imported. Return whether all of it is unchanged."""
    try:
        for name in entry.needs:
            if name not in sys.modules:
                importlib._gcd_import(name)
            if sys.modules[name] is not known[name]:
                return False
        return all(getattr(known[name], attribute, None) is value for name, attribute, value in entry.values)
    except Exception:
        return False


def renew(module):
    """Renew the state that a module gets from outside when it is imported."""
    if module.__name__ == "random":
        module._inst.seed()
    elif module.__name__ == "logging":
        # Since Python 3.13, the unit of _startTime is nanoseconds. Before, the unit was
        # seconds.
        module._startTime = time.time_ns() if type(module._startTime) is int else time.time()


def drop():
    """Forget the hidden modules, so that garbage collection removes their classes."""
    hidden.clear()
    known.clear()
