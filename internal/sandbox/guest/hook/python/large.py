"""Makes a large program of a session report its end, with little additional memory.

For other programs, session.py adds statements to the syntax tree. For a large
program, compilation with a tree needs 50% more memory. So this module adds instructions
to the compiled code instead. session.py loads it when needed.
"""

import _collections
import _functools
import _operator
import itertools
import opcode


class Wrapper:
    """Makes the same changes to compiled code as Session.wrap makes to a syntax tree.

    The argument calls contains the functions of the session. calls.value appends to the
    list values. The argument capture contains the globals of capture.py.
    """

    def __init__(self, calls, values, capture):
        self.calls, self.values = calls, values
        self.capture = capture

    def wrap(self, code, source, shown):
        """Return the code with added calls. shown says whether the final value is wanted."""
        if shown:
            code = self.capture["appends_value"](code, source, 2) or code
        code = self.capture["returns_bottom"](code)
        calls = self.calls
        profile, trace = (_functools.partial(f, None) for f in (calls.profile, calls.trace))
        end = profile, trace, calls.end
        code = self.with_epilogue(code, end)
        # with_call inserts a call before all calls that it inserted earlier. So the call
        # that is inserted last runs first.
        for function in calls.begin, _functools.partial(_operator.methodcaller("restrict"), calls):
            code = self.with_call(code, function, False)
        code = self.with_handler(code, (profile, trace), calls.end)
        # At the bottom of the stack are the list of values and an object named guard. If
        # the code returns early, CPython frees the guard, and the destructor of the guard
        # calls the functions in "end".
        guard = type("Guard", (), {"__slots__": (), "__repr__": lambda self: "None"})
        steps = tuple(_functools.partial(_functools.partial.__call__, f) for f in map(_functools.partial, end))
        guard.__del__ = staticmethod(_functools.partial(_collections.deque, map(_functools.partial.__call__, steps), 0))
        code = self.with_call(code, [guard()].pop, True)
        return self.with_call(code, itertools.repeat(self.values).__next__, True)

    def with_call(self, code, function, keep):
        index = len(code.co_consts)
        code = code.replace(co_consts=code.co_consts + (function,))
        return self.capture["with_call"](code, "LOAD_CONST", index, keep)

    def with_epilogue(self, code, functions):
        """Return the code with calls at its end."""
        body = bytearray(code.co_code)
        if body[-2] == opcode.opmap["RETURN_VALUE"]:
            body[-2:] = opcode.opmap["NOP"], 0
        constants = list(code.co_consts)
        for function in functions:
            body += self.call(constants, function)
        body += self.returns(constants)
        return self.extended(code, body, constants)

    def with_handler(self, code, before, after):
        """Return the code with a handler for all exceptions that it does not handle itself.

        The handler calls the functions `before`, stores the exception, and calls the
        function `after`. The handler also applies to exceptions that are raised in the
        handler.
        """
        target = len(code.co_code) // 2
        constants = list(code.co_consts)
        body = bytearray(code.co_code)
        body += bytes((opcode.opmap["PUSH_EXC_INFO"], 0, opcode.opmap["POP_TOP"], 0))
        for function in before:
            body += self.call(constants, function)
        body += self.call(constants, self.calls.failed, self.calls.exception)
        body += bytes((opcode.opmap["POP_EXCEPT"], 0))
        body += self.call(constants, after)
        body += self.returns(constants)
        handlers, at = [], 0
        end = len(body) // 2
        for start, length, *rest in (*self.capture["read_handlers"](code.co_exceptiontable), (end, 0, 0, 0)):
            if start > at:
                handlers.append((at, start - at, target, 0))
            if length:
                handlers.append((start, length, *rest))
            at = start + length
        code = self.extended(code, body, constants)
        return code.replace(co_exceptiontable=self.capture["write_handlers"](handlers))

    def extended(self, code, body, constants):
        """Return the code with the instructions in `body`. They begin with the old ones.

        The added instructions have no position.
        """
        units = (len(body) - len(code.co_code)) // 2
        return code.replace(
            co_code=bytes(body),
            co_consts=tuple(constants),
            co_stacksize=code.co_stacksize + 8,
            co_linetable=code.co_linetable + self.capture["nowhere"](units),
        )

    def call(self, constants, *functions):
        """Return instructions that call the first of the functions.

        If there is a second function, its result is the argument of the first.
        """
        sample = compile("f(g())" if functions[1:] else "f()", "", "eval").co_code[2:-2]
        body, functions = bytearray(), list(functions)
        for at in range(0, len(sample), 2):
            if sample[at] == opcode.opmap["LOAD_NAME"]:
                body += self.load(constants, functions.pop(0))
            else:
                body += sample[at : at + 2]
        return body + bytes((opcode.opmap["POP_TOP"], 0))

    def returns(self, constants):
        return self.load(constants, None) + bytes((opcode.opmap["RETURN_VALUE"], 0))

    def load(self, constants, value):
        index = len(constants)
        constants.append(value)
        return self.capture["loads"]("LOAD_CONST", index)
