"""The errors of the library."""

from __future__ import annotations

from typing import List, Optional


class ApiError(Exception):
    """An error of the server (RFC 9457). The attribute code is stable."""

    def __init__(self, problem: dict, retry_after: Optional[float] = None):
        self.code: str = problem.get("code", "")
        self.status: int = problem.get("status", 0)
        self.title: str = problem.get("title", "")
        self.detail: str = problem.get("detail", "") or self.title
        self.request_id: str = problem.get("requestId", "")
        self.errors: List[dict] = problem.get("errors", [])
        self.retry_after = retry_after
        super().__init__(f"{self.detail} ({self.status} {self.code})")


class ConnectionLost(Exception):
    """The connection was lost before the run ended."""


class NotPythOn(Exception):
    """The answer is not from a Pyth-On server."""


def error_of(status: int, headers, body) -> Exception:
    """Return the error in an answer."""
    if not isinstance(body, dict) or "code" not in body:
        return NotPythOn(f"the answer {status} is not from a Pyth-On server; check the address of the server")
    seconds = headers.get("retry-after", "")
    return ApiError(body, float(seconds) if seconds.isdigit() else None)
