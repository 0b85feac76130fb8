"""Converts between the JSON of the API and Python objects."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import re
import typing


@functools.lru_cache(maxsize=None)
def snake(name):
    """Convert the name of a field: memoryBytes becomes memory_bytes."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.replace("KiB", "Kib")).lower()


def camel(name):
    """Convert the name of a keyword argument: memory_bytes becomes memoryBytes."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


@functools.lru_cache(maxsize=None)
def hints(cls):
    return typing.get_type_hints(cls)


def decode(kind, data):
    """Return the JSON value as the type. Fields that this version does not know are ignored."""
    if data is None:
        return None
    if dataclasses.is_dataclass(kind):
        known = hints(kind)
        fields = {snake(name): value for name, value in data.items()}
        return kind(**{name: decode(known[name], value) for name, value in fields.items() if name in known})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return decode(arguments[0], data)
    if origin is list:
        return [decode(arguments[0], item) for item in data]
    if kind is datetime.datetime:
        return parse_time(data)
    return data


def parse_time(text):
    # fromisoformat of Python 3.10 and earlier does not accept the suffix Z, and accepts
    # only some numbers of decimal places.
    match = re.fullmatch(r"(.*T\d\d:\d\d:\d\d)(?:\.(\d+))?Z", text)
    if not match:
        return datetime.datetime.fromisoformat(text)
    micro = int(((match[2] or "") + "000000")[:6])
    return datetime.datetime.fromisoformat(match[1]).replace(microsecond=micro, tzinfo=datetime.timezone.utc)


def encode(value):
    """Return the value for JSON: names of fields in camel case, times as text."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def encode_options(options: typing.Mapping[str, typing.Any]) -> dict:
    """Return the keyword arguments of a request as a JSON object."""
    body = {}
    for name, value in options.items():
        if value is None:
            continue
        if name == "files":
            value = encode_files(value)
        elif name in ("limits", "network", "webhook"):
            value = encode_options(value)
        body[camel(name)] = encode(value)
    return body


def encode_files(files):
    """Return input files. They are a list of InputFile, or a dictionary from paths to content."""
    if not isinstance(files, dict):
        return list(files)
    return [encode_file(path, content) for path, content in files.items()]


def encode_file(path, content):
    if isinstance(content, str):
        return {"path": path, "content": content}
    return {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
