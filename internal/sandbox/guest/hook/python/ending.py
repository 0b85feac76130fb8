"""What happens when a program has ended: its value and figures are shown, and its
error is reported.

usercustomize.py loads this module before it waits for a program.
"""

import _collections
import _functools
import _signal
import atexit
import os
import sys
import time

# The longest time that values are shown for, in seconds. It is less if the run
# has less than twice as much left.
MAX_SECONDS = 10.0

getpid, monotonic = os.getpid, time.monotonic
open_file, write, close_file = os.open, os.write, os.close


class Ending:
    """Sees to the end of a program. shown() has its rich values, or is None if nobody wants them.

    report(error) returns what the agent is to be told of an uncaught exception.
    seconds and memory, in bytes, are the limits of the run.
    """

    def __init__(self, report, shown, seconds, memory):
        self.report = report
        self.shown = shown
        self.deadline = monotonic() + seconds
        self.memory = memory
        self.program = getpid()
        self.showing = self.reported = False

    def begin(self):
        """Has what is left to do done after the program's own handlers of atexit.

        That is if nothing calls ended().
        """
        atexit.register(untraced(self.finish))

    def show(self, value):
        """Shows the value of the final expression."""
        if getpid() != self.program or self.shown is None:
            return  # A child of the program has come to the end of main.py as well.
        if type(value) in (int, float, bool, str, type(None)):
            self.shown().last(value)
        else:
            self.bounded(lambda: self.shown().last(value))

    def ended(self):
        """Shows the figures that are open when main.py has ended."""
        if getpid() != self.program:
            return
        try:
            self.show_figures()
        finally:
            # Ahead of the program's own handlers, since it is registered after them.
            atexit.register(untraced(self.finish))

    def show_figures(self):
        if self.shown is not None and "matplotlib.pyplot" in sys.modules:
            self.bounded(self.shown().open_figures)

    def finish(self):
        """Shows what figures threads have opened since, and reports an uncaught exception."""
        if getpid() != self.program or self.reported:
            return
        self.reported = True
        self.show_figures()
        # CPython leaves an uncaught exception here once it has printed it; before
        # Python 3.12, in sys.last_value.
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
            pass  # The program's own output must not change.

    def bounded(self, action):
        """Calls action, which must raise nothing, within what time and memory the run has left.

        If it takes more, it gets an exception. Python's handler of a signal is what
        can raise one; signals are as they were afterwards.
        """
        reset_memory = self.lower_memory()
        seconds = max(0.05, min(MAX_SECONDS, (self.deadline - monotonic()) / 2))
        began = monotonic()
        try:
            handler = _signal.signal(_signal.SIGALRM, self.expired)
            left, interval = _signal.setitimer(_signal.ITIMER_REAL, seconds, 0.2)
        except (ValueError, OSError):  # This is not the main thread.
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
        """Lets the process take no more than three quarters of the memory that the run has left.

        What does not fit is a MemoryError then, and not the end of the run. It
        returns a function that takes this back.
        """
        if "resource" not in sys.builtin_module_names or len(sys._current_frames()) > 1:
            return lambda: None  # Or other threads go on.
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
    """The time for showing values is over."""


def untraced(function, again=False):
    """Returns a callable that calls function without the program's trace and profile functions.

    They would be told of each function in Python that is called. So what puts
    them aside is made of parts that are implemented in C. again says whether it
    can be called more than once.
    """
    partial = _functools.partial
    call = partial.__call__
    over = map_again if again else map
    old, end = [], []

    def run():
        try:
            function()
        finally:
            # The function may have come to call this again: what is last is its own.
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
    """Returns map(function, values), but so that it can be gone through repeatedly."""

    class Again:
        __slots__ = ()
        __iter__ = staticmethod(_functools.partial(map, function, values))

    return Again()
