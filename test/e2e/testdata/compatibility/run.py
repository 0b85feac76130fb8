"""Runs a module of CPython's own tests and writes what became of each test.

The outcomes go to outcomes.json: by the test's name "ok", "skipped: …" or
"failed: …". It is run in a sandbox and outside of one.
"""

import importlib
import io
import json
import sys
import unittest

from test import support


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.all = {}

    def note(self, test, outcome):
        name = test.id() if not isinstance(test, unittest.suite._ErrorHolder) else str(test)
        # One that failed in part has failed.
        if not self.all.get(name, "").startswith("failed"):
            self.all[name] = outcome

    def addSuccess(self, test):
        self.note(test, "ok")

    addExpectedFailure = lambda self, test, error: self.note(test, "ok")
    addUnexpectedSuccess = lambda self, test: self.note(test, "failed: succeeded")

    def addSkip(self, test, reason):
        self.note(test, "skipped: " + reason)

    def addFailure(self, test, error):
        self.note(test, f"failed: {error[0].__name__}: {str(error[1])[:300]}")

    addError = addFailure

    def addSubTest(self, test, part, error):
        if error is not None:
            self.addFailure(test, error)


support.use_resources = []  # As in `python -m test`: nothing that takes long.
support.verbose = 0
outcomes = Outcomes()
real = sys.stdout
sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
try:
    module = importlib.import_module("test." + sys.argv[1])
    if hasattr(module, "test_main"):
        support._run_suite = lambda suite: suite.run(outcomes)
        module.test_main()
    else:
        unittest.TestLoader().loadTestsFromModule(module).run(outcomes)
except unittest.SkipTest as skip:
    outcomes.all[sys.argv[1]] = f"skipped: {skip}"
finally:
    sys.stdout = real
with open("outcomes.json", "w") as f:
    json.dump(outcomes.all, f)
