"""The client for asyncio. It has the same methods as the synchronous client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, AsyncIterator, List, Optional, Union

import httpx

from . import _calls, _types
from ._client import MAX_WAIT, answer_of, http_options, never_connected, request_options
from ._crypto import KeyCost, encrypt
from ._errors import ApiError, ConnectionLost
from ._events import Ended, Event, Parser, event_of
from ._results import Run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import ProgramOptions, StartOptions


class AsyncClient:
    """Calls the API of one server with the credentials of one user, for asyncio."""

    def __init__(self, server: str, *, api_key: Optional[str] = None, token: Optional[str] = None, retries: int = 2):
        self._http = httpx.AsyncClient(**http_options(server, api_key, token))
        self._retries = retries

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, call: _calls.Call, stream: bool = False) -> Any:
        """Send the call and return its answer, or the open response if stream is true. The caller must close the open response."""
        for attempt in range(self._retries + 1):
            try:
                request = self._http.build_request(call.method, call.path, **request_options(call))
                response = await self._http.send(request, stream=stream)
                if stream and response.status_code < 300:
                    return response
                await response.aread()
                return answer_of(call, response)
            except (ApiError, httpx.TransportError) as error:
                delay = _calls.retry_delay(call, error, attempt, not never_connected(error))
                if delay is None or attempt == self._retries:
                    raise
                await asyncio.sleep(delay)
        raise AssertionError("unreachable")

    async def _pages(self, call: _calls.Call) -> AsyncIterator[Any]:
        while True:
            found, cursor = await self._send(call)
            for item in found:
                yield item
            if not cursor:
                return
            call.query["cursor"] = cursor

    async def _messages(self, call: _calls.Call) -> AsyncIterator[tuple]:
        response = await self._send(call, stream=True)
        try:
            parser = Parser()
            async for chunk in response.aiter_bytes():
                for message in parser.feed(chunk):
                    yield message
        finally:
            await response.aclose()

    async def _events(self, call: _calls.Call) -> AsyncIterator[Event]:
        async for _, name, data in self._messages(call):
            event = event_of(name, data)
            if event is not None:
                yield event
            if isinstance(event, Ended):
                return
        raise ConnectionLost("the connection was lost before the run ended")

    # Methods for runs.

    async def run(self, code: str, **options: Unpack[ProgramOptions]) -> Run:
        """Run a program and return its result when it ends. The option language selects the language."""
        return await self._send(_calls.run(code, options))

    def stream(self, code: str, **options: Unpack[ProgramOptions]) -> AsyncIterator[Event]:
        """Run a program and return its events. If you leave the loop, close the iterator: the server then cancels the run."""
        return self._events(_calls.stream(code, options))

    async def start(self, code: str, **options: Unpack[StartOptions]) -> _types.Execution:
        """Queue a program and return without waiting for its end."""
        return await self._send(_calls.start(code, options))

    async def execution(self, id: str) -> _types.Execution:
        """Return a run with its code and output."""
        return await self._send(_calls.execution(id))

    async def wait(self, id: str) -> _types.Execution:
        """Return a run when it has ended."""
        while True:
            run = await self._send(_calls.execution(id, MAX_WAIT))
            if run.state == "ended":
                return run

    async def events(self, id: str) -> AsyncIterator[Event]:
        """Return the events of a run from the first one. After a lost connection the iterator continues with the next event."""
        last, failures = 0, 0
        while True:
            failure: Exception = ConnectionLost("the connection was lost before the run ended")
            try:
                async for last, name, data in self._messages(_calls.events(id, last)):
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
            await asyncio.sleep(0.5 * failures)

    def executions(self, **filters: Any) -> AsyncIterator[_types.ExecutionSummary]:
        """Return the runs, newest first. Filters: state, status, language, label, session_id, key, since, until."""
        return self._pages(_calls.executions(filters))

    async def cancel(self, id: str) -> _types.Execution:
        """Cancel a run. The method does not wait for its end."""
        return await self._send(_calls.cancel(id))

    async def delete_execution(self, id: str) -> None:
        """Delete a run with its code and output."""
        await self._send(_calls.delete_execution(id))

    # Methods for sessions.

    async def open_session(self, **options: Unpack[_types.SessionRequest]) -> AsyncSession:
        """Open a session. Use it in a async with statement, which closes it."""
        return AsyncSession(self, await self._send(_calls.open_session(options)))

    async def session(self, id: str) -> AsyncSession:
        """Return an open session."""
        return AsyncSession(self, await self._send(_calls.get_session(id)))

    def sessions(self) -> AsyncIterator[_types.SessionInfo]:
        """Return the open sessions, oldest first."""
        return self._pages(_calls.sessions())

    # Methods for secrets, packages and the account.

    def secrets(self) -> AsyncIterator[_types.SecretMetadata]:
        """Return the secrets, without their values."""
        return self._pages(_calls.secrets())

    async def set_secret(self, name: str, value: str, description: Optional[str] = None) -> _types.SecretMetadata:
        """Create a secret, or replace its value."""
        return await self._send(_calls.set_secret(name, value, description))

    async def delete_secret(self, name: str) -> None:
        """Delete a secret."""
        await self._send(_calls.delete_secret(name))

    async def packages(self, language: str = "python") -> List[_types.PackageInfo]:
        """Return the packages of a language."""
        return await self._send(_calls.packages(language))

    async def add_package(self, requirement: str, language: str = "python") -> _types.PackageInfo:
        """Install a package, such as numpy>=2, with its dependencies."""
        return await self._send(_calls.add_package(requirement, language))

    async def remove_package(self, name: str, language: str = "python") -> None:
        """Remove a package and the dependencies that nothing else needs."""
        await self._send(_calls.remove_package(name, language))

    def audit(self, **filters: Any) -> AsyncIterator[_types.AuditEntry]:
        """Return the entries of the audit log, newest first. Filters: action, outcome, label, since, until."""
        return self._pages(_calls.audit(filters))

    async def usage(self, **filters: Any) -> _types.UsageReport:
        """Return usage and quotas. Filters: by (day, language or key), since, until."""
        return await self._send(_calls.usage(filters))

    async def me(self) -> _types.UserInfo:
        """Return the account."""
        return await self._send(_calls.me())

    # Methods for encrypted programs.

    async def store_encrypted(
        self, name: str, code: Union[str, bytes], password: Union[str, bytes], language: str = "python", cost: KeyCost = KeyCost()
    ) -> _types.EncryptedCodeMetadata:
        """Encrypt a program on this machine, and store it. The server receives neither the program nor the password."""
        return await self._send(_calls.store_encrypted(name, encrypt(code, password, language, name, cost)))

    async def run_encrypted(self, name: str, password: Union[str, bytes], **options: Unpack[_types.RunOptions]) -> Run:
        """Run an encrypted program. Only the sandbox of the run can decrypt the password."""
        sandbox = await self._send(_calls.reserve())
        return await self._send(_calls.run_encrypted(name, sandbox, password, options))

    async def encrypted_programs(self) -> List[_types.EncryptedCodeMetadata]:
        """Return the encrypted programs."""
        return await self._send(_calls.encrypted_programs())

    async def delete_encrypted(self, name: str) -> None:
        """Delete an encrypted program."""
        await self._send(_calls.delete_encrypted(name))


class AsyncSession:
    """A session on the server, which keeps variables and files between runs."""

    def __init__(self, client: AsyncClient, info: _types.SessionInfo):
        self._client = client
        self.info = info
        self.id = info.id

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session and delete its files. A session that has already ended is no error."""
        try:
            await self._client._send(_calls.close_session(self.id))
        except ApiError as error:
            if error.code != "not_found":
                raise

    async def run(self, code: str, **options: Unpack[_types.RunOptions]) -> Run:
        """Run code in the session."""
        options["session_id"] = self.id
        return await self._client.run(code, **options)

    def stream(self, code: str, **options: Unpack[_types.RunOptions]) -> AsyncIterator[Event]:
        """Run code in the session and return its events."""
        options["session_id"] = self.id
        return self._client.stream(code, **options)

    async def change(self, **change: Unpack[_types.SessionChange]) -> _types.SessionInfo:
        """Change the name, the labels or the idle time-out, and prolong the session."""
        self.info = await self._client._send(_calls.change_session(self.id, change))
        return self.info

    async def interrupt(self) -> None:
        """End the current run, as Ctrl-C does in a terminal. The session keeps its variables."""
        await self._client._send(_calls.interrupt_session(self.id))

    async def files(self) -> List[_types.SessionFile]:
        """Return the files of the session."""
        return await self._client._send(_calls.session_files(self.id))

    async def read_file(self, path: str) -> bytes:
        """Return the content of a file."""
        return await self._client._send(_calls.session_file("GET", self.id, path))

    async def write_file(self, path: str, content: bytes) -> None:
        """Write a file, and replace a file at the same path."""
        await self._client._send(_calls.session_file("PUT", self.id, path, content))

    async def delete_file(self, path: str) -> None:
        """Delete a file."""
        await self._client._send(_calls.session_file("DELETE", self.id, path))
