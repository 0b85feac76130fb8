"""Calls a Pyth-On server.

A Client, or an AsyncClient for asyncio, runs programs, opens sessions, and manages the
secrets, packages and encrypted programs of one account:

    with Client("https://api.example.org", api_key=key) as client:
        print(client.run("print(6 * 7)").stdout)

A program that fails raises nothing: the attribute status of the result has the reason.
An error of the server raises ApiError, with a stable code.
"""

from ._aio import AsyncClient, AsyncSession
from ._client import Client, Session
from ._crypto import KeyCost, encrypt, seal
from ._errors import ApiError
from ._events import Ended, Event, File, Output, ResultEvent, Started
from ._results import Result, Run

__all__ = [
    "ApiError", "AsyncClient", "AsyncSession", "Client", "Ended", "Event", "File", "KeyCost", "Output", "Result", "ResultEvent",
    "Run", "Session", "Started", "encrypt", "seal",
]  # fmt: skip
