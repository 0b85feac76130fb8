"""Handles the end of a program: shows its value and figures, and reports its error.

usercustomize.py loads this module before it waits for a program.
"""

import _collections
import _functools
import _signal
import atexit
import os
import sys
import time

# MAX_SECONDS is the maximum time in seconds to show values. If half of the time that the
# run has left is shorter, this half is the maximum.
MAX_SECONDS = 10.0

getpid, monotonic = os.getpid, time.monotonic
open_file, write, close_file = os.open, os.write, os.close


class Ending:
    """Handles the end of a program.

    shown() returns the object that shows rich values. shown is None if no values are
    wanted. report(error) returns the message about an uncaught exception for the agent.
    seconds and memory (in bytes) are the limits of the run.
    """

    def __init__(self, report, shown, seconds, memory):
        self.report = report
        self.shown = shown
        self.deadline = monotonic() + seconds
        self.memory = memory
        self.program = getpid()
        self.showing = self.reported = False

    def begin(self):
        """Make finish() run after the program's own atexit handlers.

        This is for programs for which ended() is not called.
        """
        atexit.register(untraced(self.finish))

    def show(self, value):
        """Show the value of the final expression."""
        if getpid() != self.program or self.shown is None:
            return  # This is a forked child at the end of main.py, or no values are wanted.
        if type(value) in (int, float, bool, str, type(None)):
            self.shown().last(value)
        else:
            self.bounded(lambda: self.shown().last(value))

    def ended(self):
        """Show the figures that are open when main.py ends."""
        if getpid() != self.program:
            return
        try:
            self.show_figures()
        finally:
            # Register self.finish last, because atexit then runs it before the handlers
            # of the program.
            atexit.register(untraced(self.finish))

    def show_figures(self):
        if self.shown is not None and "matplotlib.pyplot" in sys.modules:
            self.bounded(self.shown().open_figures)

    def finish(self):
        """Report an uncaught exception.

        Before this, show the figures that threads have opened since main.py ended.
        """
        if getpid() != self.program or self.reported:
            return
        self.reported = True
        self.show_figures()
        # After CPython has printed an uncaught exception, it stores the exception in
        # sys.last_exc. Before Python 3.12, CPython stores the exception in
        # sys.last_value.
        error = getattr(sys, "last_exc", getattr(sys, "last_value", None))
        if error is None:
            return
        try:
            data = self.report(error)
            fd = open_file("/run/report", os.O_WRONLY | os.O_TRUNC)
            try:
                while data:
                    data = data[write(fd, data) :]
            finally:
                close_file(fd)
        except BaseException:
            pass  # The program's output must not change.

    def bounded(self, action):
        """Call `action` with a part of the time and memory that the run has left.

        `action` must not raise an exception. After too much time, the handler of SIGALRM
        raises an exception that ends the action. Above the memory limit, an allocation
        raises MemoryError. Afterwards the program's handler, timer and limit are
        restored.
        """
        reset_memory = self.lower_memory()
        seconds = max(0.05, min(MAX_SECONDS, (self.deadline - monotonic()) / 2))
        began = monotonic()
        try:
            handler = _signal.signal(_signal.SIGALRM, self.expired)
            left, interval = _signal.setitimer(_signal.ITIMER_REAL, seconds, 0.2)
        except (ValueError, OSError):  # Only the main thread can set a handler.
            handler = None
        self.showing = True
        try:
            action()
        except Expired:
            pass
        finally:
            self.showing = False
            if handler is not None:
                if left:
                    left = max(1e-6, left - (monotonic() - began))
                _signal.setitimer(_signal.ITIMER_REAL, left, interval)
                _signal.signal(_signal.SIGALRM, handler)
            reset_memory()

    def expired(self, number, frame):
        if self.showing:
            raise Expired

    def lower_memory(self):
        """Limit new allocations to three quarters of the memory that the run has left.

        A larger allocation raises MemoryError, instead of ending the run. Return a
        function that removes the limit.
        """
        if "resource" not in sys.builtin_module_names or len(sys._current_frames()) > 1:
            return lambda: None  # The limit would also affect other threads.
        known = "resource" in sys.modules
        try:
            import resource
        except Exception:
            return lambda: None
        finally:
            if not known:
                sys.modules.pop("resource", None)
        try:
            fd = open_file("/proc/self/statm", os.O_RDONLY)
            try:
                size, resident = (int(n) * resource.getpagesize() for n in os.read(fd, 200).split()[:2])
            finally:
                close_file(fd)
            limits = resource.getrlimit(resource.RLIMIT_AS)
            most = size + max(self.memory - resident, 0) * 3 // 4
            if limits[1] != resource.RLIM_INFINITY:
                most = min(most, limits[1])
            resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        except Exception:
            return lambda: None
        return lambda: resource.setrlimit(resource.RLIMIT_AS, limits)


class Expired(BaseException):
    """The time to show values is over."""


def untraced(function, again=False):
    """Return a callable that calls `function` without the program's trace and profile functions.

    The program's functions would see each call of a Python function. So they are removed
    by functions in C. `again` says whether the callable can be called more than once.
    """
    partial = _functools.partial
    call = partial.__call__
    over = map_again if again else map
    old, end = [], []

    def run():
        try:
            function()
        finally:
            # `function` may have called this callable again, and each call adds an entry
            # to the list. So the last entry belongs to this call.
            profile, trace = old[-2:]
            del old[-2:]
            end.clear()
            if trace is not None:
                end.append(partial(sys.settrace, trace))
            if profile is not None:
                end.append(partial(sys.setprofile, profile))

    steps = (
        partial(old.extend, over(call, (partial(sys.getprofile), partial(sys.gettrace)))),
        partial(sys.setprofile, None),
        partial(sys.settrace, None),
        partial(run),
        partial(_collections.deque, over(call, end), 0),
    )
    return partial(_collections.deque, over(call, steps), 0)


def map_again(function, values):
    """Return an object over which one can iterate repeatedly, each time with a new map."""

    class Again:
        __slots__ = ()
        __iter__ = staticmethod(_functools.partial(map, function, values))

    return Again()
