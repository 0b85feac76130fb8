"""The operations of the API, without input and output. Both clients send them."""

from __future__ import annotations

import base64
import dataclasses
import random
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional, Union
from urllib.parse import quote

from . import _types
from ._crypto import seal, to_text
from ._decode import decode, encode, encode_options
from ._errors import ApiError
from ._results import Run

# The maximum value of the header Retry-After for which a client waits, in seconds.
MAX_RETRY_AFTER = 30

# The media type of a response that contains server-sent events.
EVENT_STREAM = "text/event-stream"


@dataclasses.dataclass
class Call:
    """One request. It is repeatable if the server executes it once, even if it arrives twice."""

    method: str
    path: str
    decode: Callable[[Any], Any] = lambda data: None
    body: Optional[dict] = None
    content: Optional[bytes] = None
    query: Dict[str, Any] = dataclasses.field(default_factory=dict)
    headers: Dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # httpx removes path segments such as "..". The request would then call another
        # operation of the API, with the client's key.
        if {"", ".", ".."} & set(self.path[1:].split("/")):
            raise ValueError(f'the path {self.path} has a name or an ID that is empty, "." or ".."')

    @property
    def repeatable(self) -> bool:
        return self.method != "POST" or "Idempotency-Key" in self.headers

    def once(self) -> Call:
        """Add a new idempotency key, so that the server executes the call once."""
        self.headers["Idempotency-Key"] = str(uuid.uuid4())
        return self


def retry_delay(call: Call, error: Exception, attempt: int, connected: bool) -> Optional[float]:
    """Return the time until the next attempt in seconds, or None if the call must not be repeated."""
    backoff = 0.5 * 2**attempt * random.uniform(0.5, 1)
    if isinstance(error, ApiError):
        if error.status in (429, 503) and (error.retry_after or 0) <= MAX_RETRY_AFTER:
            # If the code is "unavailable", the server may have executed the call.
            return (error.retry_after or backoff) if call.repeatable or error.code != "unavailable" else None
        return backoff if error.code == "in_progress" else None
    # If the client did not connect, the server has not received the request. So the
    # client can safely repeat it.
    return backoff if call.repeatable or not connected else None


def of(kind):
    return lambda data: decode(kind, data)


def items(kind, name):
    return lambda data: ([decode(kind, item) for item in data[name]], data.get("nextCursor"))


def segment(name: str) -> str:
    return quote(name, safe="")


def filters(**values) -> dict:
    return {name: encode(value) for name, value in values.items() if value is not None}


def run(code: str, options: Mapping[str, Any]) -> Call:
    return Call("POST", "/api/v1/execute", of(Run), {"code": code, **encode_options(options)})


def stream(code: str, options: Mapping[str, Any]) -> Call:
    return Call("POST", "/api/v1/execute/stream", body={"code": code, **encode_options(options)}, headers={"Accept": EVENT_STREAM})


def start(code: str, options: Mapping[str, Any]) -> Call:
    call = Call("POST", "/api/v1/execute", of(_types.Execution), {"code": code, **encode_options(options)})
    call.headers["Prefer"] = "respond-async"
    return call.once()


def execution(id: str, wait: Optional[int] = None) -> Call:
    return Call("GET", f"/api/v1/executions/{segment(id)}", of(_types.Execution), query=filters(wait=wait))


def executions(query: dict) -> Call:
    names = {"session_id": "sessionId"}
    query = {names.get(name, name): value for name, value in query.items()}
    return Call("GET", "/api/v1/executions", items(_types.ExecutionSummary, "executions"), query=filters(**query))


def events(id: str, after: int) -> Call:
    headers = {"Accept": EVENT_STREAM}
    if after:
        headers["Last-Event-ID"] = str(after)
    return Call("GET", f"/api/v1/executions/{segment(id)}/events", headers=headers)


def cancel(id: str) -> Call:
    return Call("POST", f"/api/v1/executions/{segment(id)}/cancel", of(_types.Execution)).once()


def delete_execution(id: str) -> Call:
    return Call("DELETE", f"/api/v1/executions/{segment(id)}")


def open_session(options: Mapping[str, Any]) -> Call:
    return Call("POST", "/api/v1/sessions", of(_types.SessionInfo), encode_options(options)).once()


def get_session(id: str) -> Call:
    return Call("GET", f"/api/v1/sessions/{segment(id)}", of(_types.SessionInfo))


def sessions() -> Call:
    return Call("GET", "/api/v1/sessions", items(_types.SessionInfo, "sessions"))


def change_session(id: str, change: Mapping[str, Any]) -> Call:
    return Call("PATCH", f"/api/v1/sessions/{segment(id)}", of(_types.SessionInfo), encode_options(change))


def close_session(id: str) -> Call:
    return Call("DELETE", f"/api/v1/sessions/{segment(id)}")


def interrupt_session(id: str) -> Call:
    return Call("POST", f"/api/v1/sessions/{segment(id)}/interrupt").once()


def session_files(id: str) -> Call:
    return Call("GET", f"/api/v1/sessions/{segment(id)}/files", lambda data: decode(List[_types.SessionFile], data["files"]))


def session_file(method: str, id: str, path: str, content: Optional[bytes] = None) -> Call:
    return Call(method, f"/api/v1/sessions/{segment(id)}/files/{quote(path)}", lambda data: data, content=content)


def secrets() -> Call:
    return Call("GET", "/api/v1/secrets", items(_types.SecretMetadata, "secrets"))


def set_secret(name: str, value: str, description: Optional[str]) -> Call:
    body = filters(value=value, description=description)
    return Call("PUT", f"/api/v1/secrets/{segment(name)}", of(_types.SecretMetadata), body)


def delete_secret(name: str) -> Call:
    return Call("DELETE", f"/api/v1/secrets/{segment(name)}")


def packages(language: str) -> Call:
    return Call("GET", "/api/v1/packages", lambda data: decode(List[_types.PackageInfo], data["packages"]), query={"language": language})


def add_package(requirement: str, language: str) -> Call:
    return Call("POST", "/api/v1/packages", of(_types.PackageInfo), {"package": requirement, "language": language}).once()


def remove_package(name: str, language: str) -> Call:
    return Call("DELETE", f"/api/v1/packages/{segment(name)}", query={"language": language})


def audit(query: dict) -> Call:
    return Call("GET", "/api/v1/audit", items(_types.AuditEntry, "entries"), query=filters(**query))


def usage(query: dict) -> Call:
    return Call("GET", "/api/v1/usage", of(_types.UsageReport), query=filters(**query))


def me() -> Call:
    return Call("GET", "/api/v1/me", of(_types.UserInfo))


def store_encrypted(name: str, payload: dict) -> Call:
    return Call("PUT", f"/api/v1/zk/code/{segment(name)}", of(_types.EncryptedCodeMetadata), payload)


def encrypted_programs() -> Call:
    return Call("GET", "/api/v1/zk/code", lambda data: decode(List[_types.EncryptedCodeMetadata], data["code"]))


def delete_encrypted(name: str) -> Call:
    return Call("DELETE", f"/api/v1/zk/code/{segment(name)}")


def reserve() -> Call:
    return Call("POST", "/api/v1/zk/sandboxes", lambda data: data).once()


def run_encrypted(name: str, sandbox: dict, password: Union[str, bytes], options: Mapping[str, Any]) -> Call:
    sealed = seal(password, base64.b64decode(sandbox["publicKey"]), sandbox["sandboxId"])
    body = {"sandboxId": sandbox["sandboxId"], "sealedPassword": to_text(sealed), **encode_options(options)}
    return Call("POST", f"/api/v1/zk/execute/{segment(name)}", of(Run), body)
