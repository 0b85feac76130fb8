"""The synchronous client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Union

import httpx

from . import _calls, _types
from ._crypto import KeyCost, encrypt
from ._errors import ApiError, ConnectionLost, NotPythOn, error_of
from ._events import Ended, Event, Parser, event_of
from ._results import Run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import ProgramOptions, StartOptions

# The maximum time that the server waits for the end of a run, in seconds.
MAX_WAIT = 60


def http_options(server: str, api_key: Optional[str], token: Optional[str]) -> dict:
    """Return the options of httpx. Redirects are not followed, because they could send the key to another host."""
    headers = {"User-Agent": "pyth-on-python"}
    if api_key:
        headers["x-api-key"] = api_key
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # A run can take minutes. So only the connection attempt has a time-out.
    return {"base_url": server.rstrip("/"), "headers": headers, "timeout": httpx.Timeout(None, connect=10), "follow_redirects": False}


def request_options(call: _calls.Call) -> dict:
    """Return the arguments of httpx for the call."""
    options: dict = {"params": call.query, "headers": call.headers}
    if call.body is not None:
        options["json"] = call.body
    if call.content is not None:
        options["content"] = call.content
        options["headers"] = {**call.headers, "Content-Type": "application/octet-stream"}
    return options


def answer_of(call: _calls.Call, response: httpx.Response) -> Any:
    """Return the decoded answer, or raise its error."""
    is_json = "json" in response.headers.get("content-type", "")
    if response.status_code >= 300:
        raise error_of(response.status_code, response.headers, response.json() if is_json else None)
    if "/files/" in call.path:
        return response.content
    if not response.content:
        return None
    if not is_json:
        raise NotPythOn("the answer is not from a Pyth-On server; check the address of the server")
    return call.decode(response.json())


def never_connected(error: Exception) -> bool:
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))


class Client:
    """Calls the API of one server with the credentials of one user."""

    def __init__(self, server: str, *, api_key: Optional[str] = None, token: Optional[str] = None, retries: int = 2):
        self._http = httpx.Client(**http_options(server, api_key, token))
        self._retries = retries

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, call: _calls.Call, stream: bool = False) -> Any:
        """Send the call and return its answer, or the open response if stream is true. The caller must close the open response."""
        for attempt in range(self._retries + 1):
            try:
                request = self._http.build_request(call.method, call.path, **request_options(call))
                response = self._http.send(request, stream=stream)
                if stream and response.status_code < 300:
                    return response
                response.read()
                return answer_of(call, response)
            except (ApiError, httpx.TransportError) as error:
                delay = _calls.retry_delay(call, error, attempt, not never_connected(error))
                if delay is None or attempt == self._retries:
                    raise
                time.sleep(delay)
        raise AssertionError("unreachable")

    def _pages(self, call: _calls.Call) -> Iterator[Any]:
        while True:
            found, cursor = self._send(call)
            yield from found
            if not cursor:
                return
            call.query["cursor"] = cursor

    def _messages(self, call: _calls.Call) -> Iterator[tuple]:
        response = self._send(call, stream=True)
        try:
            parser = Parser()
            for chunk in response.iter_bytes():
                yield from parser.feed(chunk)
        finally:
            response.close()

    def _events(self, call: _calls.Call) -> Iterator[Event]:
        for _, name, data in self._messages(call):
            event = event_of(name, data)
            if event is not None:
                yield event
            if isinstance(event, Ended):
                return
        raise ConnectionLost("the connection was lost before the run ended")

    # Methods for runs.

    def run(self, code: str, **options: Unpack[ProgramOptions]) -> Run:
        """Run a program and return its result when it ends. The option language selects the language."""
        return self._send(_calls.run(code, options))

    def stream(self, code: str, **options: Unpack[ProgramOptions]) -> Iterator[Event]:
        """Run a program and return its events. If you leave the loop, close the iterator: the server then cancels the run."""
        return self._events(_calls.stream(code, options))

    def start(self, code: str, **options: Unpack[StartOptions]) -> _types.Execution:
        """Queue a program and return without waiting for its end."""
        return self._send(_calls.start(code, options))

    def execution(self, id: str) -> _types.Execution:
        """Return a run with its code and output."""
        return self._send(_calls.execution(id))

    def wait(self, id: str) -> _types.Execution:
        """Return a run when it has ended."""
        while True:
            run = self._send(_calls.execution(id, MAX_WAIT))
            if run.state == "ended":
                return run

    def events(self, id: str) -> Iterator[Event]:
        """Return the events of a run from the first one. After a lost connection the iterator continues with the next event."""
        last, failures = 0, 0
        while True:
            failure: Exception = ConnectionLost("the connection was lost before the run ended")
            try:
                for last, name, data in self._messages(_calls.events(id, last)):
                    failures = 0
                    event = event_of(name, data)
                    if event is not None:
                        yield event
                    if isinstance(event, Ended):
                        return
            except httpx.TransportError as error:
                failure = error
            failures += 1
            if failures > self._retries:
                raise failure
            time.sleep(0.5 * failures)

    def executions(self, **filters: Any) -> Iterator[_types.ExecutionSummary]:
        """Return the runs, newest first. Filters: state, status, language, label, session_id, key, since, until."""
        return self._pages(_calls.executions(filters))

    def cancel(self, id: str) -> _types.Execution:
        """Cancel a run. The method does not wait for its end."""
        return self._send(_calls.cancel(id))

    def delete_execution(self, id: str) -> None:
        """Delete a run with its code and output."""
        self._send(_calls.delete_execution(id))

    # Methods for sessions.

    def open_session(self, **options: Unpack[_types.SessionRequest]) -> Session:
        """Open a session. Use it in a with statement, which closes it."""
        return Session(self, self._send(_calls.open_session(options)))

    def session(self, id: str) -> Session:
        """Return an open session."""
        return Session(self, self._send(_calls.get_session(id)))

    def sessions(self) -> Iterator[_types.SessionInfo]:
        """Return the open sessions, oldest first."""
        return self._pages(_calls.sessions())

    # Methods for secrets, packages and the account.

    def secrets(self) -> Iterator[_types.SecretMetadata]:
        """Return the secrets, without their values."""
        return self._pages(_calls.secrets())

    def set_secret(self, name: str, value: str, description: Optional[str] = None) -> _types.SecretMetadata:
        """Create a secret, or replace its value."""
        return self._send(_calls.set_secret(name, value, description))

    def delete_secret(self, name: str) -> None:
        """Delete a secret."""
        self._send(_calls.delete_secret(name))

    def packages(self, language: str = "python") -> List[_types.PackageInfo]:
        """Return the packages of a language."""
        return self._send(_calls.packages(language))

    def add_package(self, requirement: str, language: str = "python") -> _types.PackageInfo:
        """Install a package, such as numpy>=2, with its dependencies."""
        return self._send(_calls.add_package(requirement, language))

    def remove_package(self, name: str, language: str = "python") -> None:
        """Remove a package and the dependencies that nothing else needs."""
        self._send(_calls.remove_package(name, language))

    def audit(self, **filters: Any) -> Iterator[_types.AuditEntry]:
        """Return the entries of the audit log, newest first. Filters: action, outcome, label, since, until."""
        return self._pages(_calls.audit(filters))

    def usage(self, **filters: Any) -> _types.UsageReport:
        """Return usage and quotas. Filters: by (day, language or key), since, until."""
        return self._send(_calls.usage(filters))

    def me(self) -> _types.UserInfo:
        """Return the account."""
        return self._send(_calls.me())

    # Methods for encrypted programs.

    def store_encrypted(
        self, name: str, code: Union[str, bytes], password: Union[str, bytes], language: str = "python", cost: KeyCost = KeyCost()
    ) -> _types.EncryptedCodeMetadata:
        """Encrypt a program on this machine, and store it. The server receives neither the program nor the password."""
        return self._send(_calls.store_encrypted(name, encrypt(code, password, language, name, cost)))

    def run_encrypted(self, name: str, password: Union[str, bytes], **options: Unpack[_types.RunOptions]) -> Run:
        """Run an encrypted program. Only the sandbox of the run can decrypt the password."""
        sandbox = self._send(_calls.reserve())
        return self._send(_calls.run_encrypted(name, sandbox, password, options))

    def encrypted_programs(self) -> List[_types.EncryptedCodeMetadata]:
        """Return the encrypted programs."""
        return self._send(_calls.encrypted_programs())

    def delete_encrypted(self, name: str) -> None:
        """Delete an encrypted program."""
        self._send(_calls.delete_encrypted(name))


class Session:
    """A session on the server, which keeps variables and files between runs."""

    def __init__(self, client: Client, info: _types.SessionInfo):
        self._client = client
        self.info = info
        self.id = info.id

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the session and delete its files. A session that has already ended is no error."""
        try:
            self._client._send(_calls.close_session(self.id))
        except ApiError as error:
            if error.code != "not_found":
                raise

    def run(self, code: str, **options: Unpack[_types.RunOptions]) -> Run:
        """Run code in the session."""
        options["session_id"] = self.id
        return self._client.run(code, **options)

    def stream(self, code: str, **options: Unpack[_types.RunOptions]) -> Iterator[Event]:
        """Run code in the session and return its events."""
        options["session_id"] = self.id
        return self._client.stream(code, **options)

    def change(self, **change: Unpack[_types.SessionChange]) -> _types.SessionInfo:
        """Change the name, the labels or the idle time-out, and prolong the session."""
        self.info = self._client._send(_calls.change_session(self.id, change))
        return self.info

    def interrupt(self) -> None:
        """End the current run, as Ctrl-C does in a terminal. The session keeps its variables."""
        self._client._send(_calls.interrupt_session(self.id))

    def files(self) -> List[_types.SessionFile]:
        """Return the files of the session."""
        return self._client._send(_calls.session_files(self.id))

    def read_file(self, path: str) -> bytes:
        """Return the content of a file."""
        return self._client._send(_calls.session_file("GET", self.id, path))

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file, and replace a file at the same path."""
        self._client._send(_calls.session_file("PUT", self.id, path, content))

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self._client._send(_calls.session_file("DELETE", self.id, path))
