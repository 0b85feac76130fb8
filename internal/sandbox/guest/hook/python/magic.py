"""Runs the commands of notebooks that are not Python: !command, %cd and others.

session.py loads this module only if a program is not valid Python and has such a line. So
these lines never change the meaning of a Python program.
"""

import builtins
import functools
import os
import re
import signal
import sys
from _thread import get_ident
from io import FileIO

# LINE matches a line with a command. The second form assigns the output of a command.
LINE = re.compile(r"(?P<indent>[ \t]*)(?:(?P<kind>[!%])(?P<command>.*)|(?P<target>[^\W\d][\w., ]*?)[ \t]*=[ \t]*!(?P<output>.*))", re.S)
CELL = re.compile(r"\s*%%([a-z]\w*)[ \t]*([^\n]*)(?:\n|$)")
# EXPANDED matches the parts of a command that Python values replace.
EXPANDED = re.compile(r"\$\$|\$([^\W\d]\w*)|\{([^{}\n]+)\}")

SHELLS = "bash", "sh"
# IGNORED contains line commands that have no effect here, but that many notebooks have.
IGNORED = "matplotlib", "config", "load_ext", "autoreload"

# Keep the original functions, because the program may replace them.
os = type(sys.implementation)(**vars(os))
SIGNALS = signal.SIGPIPE, signal.SIGXFSZ
SIGKILL = signal.SIGKILL
environ = os.environ


class UsageError(Exception):
    """A line command is unknown, or cannot do what it should."""


UsageError.__module__ = "builtins"


def rewrite(source, mark):
    """Replace the command lines of a program by calls of methods of the string `mark`.

    Return the new program, and another one without the commands. Both have the same number
    of lines as the source. Return None if the source has no command.
    """
    cell = CELL.match(source)
    if cell:
        lines = "\n" * source.count("\n")
        return f"{mark!r}.cell({cell[1]!r}, {cell[2].strip()!r}, {source[cell.end() :]!r}){lines}", lines
    program, plain, found = [], [], False
    lines = source.splitlines(keepends=True)
    state = State()
    while lines:
        text = lines.pop(0)
        match = LINE.fullmatch(text.rstrip("\r\n")) if state.is_start() else None
        if match is None:
            program.append(text)
            plain.append(text)
            state.read(text)
            continue
        found = True
        command, more = match["command"] or match["output"] or "", 0
        while command.endswith("\\") and lines:
            command = command[:-1] + lines.pop(0).strip("\r\n")
            more += 1
        call = f"{mark!r}.{'line' if match['kind'] == '%' else 'shell' if match['kind'] else 'output'}({command!r}"
        head, empty = (match["indent"], "pass") if match["kind"] else (f"{match['indent']}{match['target']} = ", "None")
        program.append(f"{head}{call}" + "\n" * more + ")\n")
        plain.append(head + empty + "\n" * (more + 1))
    return ("".join(program), "".join(plain)) if found else None


class State:
    """Tells whether a line begins a statement. It knows strings, comments and brackets."""

    def __init__(self):
        self.quote, self.depth, self.continues = "", 0, False

    def is_start(self):
        return not self.quote and self.depth == 0 and not self.continues

    def read(self, line):
        self.continues, i = False, 0
        while i < len(line):
            c = line[i]
            if c == "\\":
                self.continues = not self.quote and line[i + 1 :].strip("\r\n") == ""
                i += 2
                continue
            if self.quote:
                if line.startswith(self.quote, i):
                    i += len(self.quote) - 1
                    self.quote = ""
                elif c == "\n" and len(self.quote) == 1:
                    self.quote = ""  # The string is not closed.
            elif c in "\"'":
                self.quote = c * 3 if line.startswith(c * 3, i) else c
                i += len(self.quote) - 1
            elif c == "#":
                return
            elif c in "([{":
                self.depth += 1
            elif c in ")]}":
                self.depth = max(self.depth - 1, 0)
            i += 1


class Commands:
    """The methods that rewritten lines call."""

    def __init__(self, main):
        """main contains the variables of the program."""
        self.main = main
        self.before = None
        # started contains the pids of the processes that the main thread has started and
        # not waited for. ended contains the wait statuses of processes.
        self.started, self.ended = [], {}
        self.thread = get_ident()

    def expand(self, command):
        """Replace $name and {expression} by their values. Keep the text if this fails."""

        def value(match):
            if match[0] == "$$":
                return "$"
            try:
                return str(self.main[match[1]] if match[1] else eval(match[2], self.main))
            except Exception:
                return match[0]

        return EXPANDED.sub(value, command)

    def flush(self):
        for stream in sys.stdout, sys.stderr:
            try:
                stream.flush()
            except Exception:
                pass

    def start(self, shell, command, actions=()):
        """Start a process, and return its pid."""
        self.flush()
        arguments = [shell, "-c", command]
        spawn = functools.partial(os.posix_spawn, file_actions=actions, setsigdef=SIGNALS)
        # Only the main thread receives interrupts. The other threads always wait for their processes.
        started = self.started if get_ident() == self.thread else []
        # The functions extend and map are in C, so that no interrupt can come before the pid is stored.
        started.extend(map(spawn, ["/bin/" + shell], [arguments], [environ]))
        return started[-1]

    def wait(self, pid):
        """Wait for a process, and store its exit code in _exit_code. Kill it if the wait is interrupted."""
        try:
            self.ended.update(map(os.waitpid, [pid], [0]))  # in C, for the same reason
            self.main["_exit_code"] = os.waitstatus_to_exitcode(self.ended[pid])
        finally:
            self.end(pid)

    def end(self, *pids):
        """Kill the given processes, or all that are left, and wait for them.

        The session calls this method after each run, when no interrupt can come. Earlier,
        an interrupt can come also in a finally clause, and so prevent the wait.
        """
        for pid in pids or tuple(self.started):
            if pid not in self.ended:
                try:
                    os.kill(pid, SIGKILL)
                    self.ended.update(map(os.waitpid, [pid], [0]))
                except OSError:  # The program has waited for the process.
                    pass
            if pid in self.started:
                self.started.remove(pid)
            self.ended.pop(pid, None)

    def shell(self, command):
        self.wait(self.start("bash", self.expand(command)))

    def output(self, command):
        """Return the lines that a command prints."""
        # A file closes its descriptor also if an interrupt prevents the call of close.
        reader, writer = map(FileIO, os.pipe(), "rw")
        with writer:
            pid = self.start("bash", self.expand(command), [(os.POSIX_SPAWN_DUP2, writer.fileno(), 1)])
        parts = []
        with reader:
            try:
                while part := reader.read(65536):
                    parts.append(part)
            except BaseException:
                self.end(pid)
                raise
        self.wait(pid)
        return b"".join(parts).decode("utf-8", "replace").splitlines()

    def line(self, command):
        name, _, rest = command.strip().partition(" ")
        rest = rest.strip()
        if name == "cd":
            return self.change(self.expand(rest))
        if name == "pwd":
            return os.getcwd()
        if name in ("env", "set_env"):
            return self.set(rest)
        if name in ("pip", "conda", "mamba", "uv"):
            raise UsageError(
                f"%{name} cannot install packages into a session. Install them for your account: "
                'POST /api/v1/packages {"package": "NAME"}. Then open a new session.'
            )
        if name in IGNORED:
            return None
        if name in SHELLS or name in ("sx", "system"):
            return self.shell(rest)
        raise UsageError(f"Line magic function `%{name}` not found. Sessions know !command, %cd, %env, %pwd, %%bash and %%writefile.")

    def change(self, target):
        before = os.getcwd()
        if target == "-":
            if self.before is None:
                raise UsageError("%cd -: there is no directory to go back to.")
            target = self.before
        target = target.strip("\"'") or "~"
        os.chdir(os.path.expanduser(target))
        self.before = before
        print(os.getcwd())

    def set(self, rest):
        if not rest:
            return dict(environ)
        name, separator, value = rest.partition("=" if "=" in rest else " ")
        name = name.strip()
        if not separator:
            return environ.get(name)
        environ[name] = self.expand(value.strip())
        print(f"env: {name}={environ[name]}")

    def cell(self, name, rest, body):
        if name in SHELLS:
            self.wait(self.start(name, body))
        elif name == "writefile":
            append = rest.startswith("-a ")
            path = rest[3:].strip() if append else rest
            with builtins.open(os.path.expanduser(path), "a" if append else "w") as file:
                file.write(body)
        else:
            raise UsageError(f"Cell magic `%%{name}` not found. Sessions know %%bash, %%sh and %%writefile.")
