"""The events of a run, and the stream of server-sent events."""

from __future__ import annotations

import dataclasses
import json
from typing import Iterator, Optional, Union

from . import _types
from ._decode import decode
from ._errors import ApiError
from ._results import Result, Run, content_of


@dataclasses.dataclass
class Started:
    """The sandbox has received the program."""

    id: str


@dataclasses.dataclass
class Output:
    """New output of the program."""

    text: str
    stream: str  # stdout or stderr


@dataclasses.dataclass
class ResultEvent:
    """A rich value."""

    value: Result


@dataclasses.dataclass
class File:
    """A file that matches output_files."""

    path: str
    content: bytes
    media_type: str


@dataclasses.dataclass
class Ended:
    """The last event. The stdout and stderr of its run are empty."""

    run: Run


Event = Union[Started, Output, ResultEvent, File, Ended]


class Parser:
    """Splits a stream of bytes into messages: id, name and data."""

    def __init__(self):
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[tuple]:
        self.rest += chunk
        *blocks, self.rest = self.rest.split(b"\n\n")
        for block in blocks:
            fields = {"id": "", "event": "", "data": ""}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                if name in fields:
                    fields[name] += value[1:] if value.startswith(" ") else value
            if fields["event"]:
                yield int(fields["id"] or 0), fields["event"], json.loads(fields["data"])


def event_of(name: str, data: dict) -> Optional[Event]:
    """Return the event, or None if this version does not know it."""
    if name == "start":
        return Started(data["id"])
    if name in ("stdout", "stderr"):
        return Output(data["text"], name)
    if name == "result":
        return ResultEvent(Result(data))
    if name == "file":
        file = decode(_types.OutputFile, data)
        return File(file.path, content_of(file), file.media_type)
    if name == "end":
        return Ended(decode(Run, data))
    if name == "error":
        raise ApiError(data)
    return None
