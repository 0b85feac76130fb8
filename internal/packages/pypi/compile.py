"""Compiles the sources of one package and writes the results to standard output.

Each result has two parts: the path of the source, relative to the package, and
the content of the .pyc file. Each part begins with its length: four bytes, big
endian. No code of the package runs.
"""

import os
import sys
import warnings
from importlib import _bootstrap_external
from importlib.util import source_hash

warnings.simplefilter("ignore")
root = sys.argv[1]
out = os.fdopen(1, "wb", closefd=False)
for directory, _, names in os.walk(root):
    for name in names:
        if not name.endswith(".py"):
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as f:
                source = f.read()
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
            continue  # The source is invalid or needs another version of Python.
        # Write a .pyc file that Python does not compare with its source. Both files are in
        # one read-only image, so they always match.
        data = _bootstrap_external._code_to_hash_pyc(code, source_hash(source), False)
        for part in (os.fsencode(os.path.relpath(path, root)), data):
            out.write(len(part).to_bytes(4, "big"))
            out.write(part)
out.flush()
