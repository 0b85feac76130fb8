"""Encodes and decodes frames between the agent and the Python hook.

The codec is the same as in the agent's package protocol. A frame consists of one byte for
the kind, four bytes for the length of the payload, and the payload. The payload is a
sequence of fields. Before each field, there are four bytes with the length of the field.
Lengths are big endian.
"""

import os

# HEADER is the size in bytes of a frame's kind and length.
HEADER = 5

HELLO, RESULT, REPORT, ENDED = b"H", b"D", b"R", b"x"

# Keep the original functions, because the program may replace them.
read, leave = os.read, os._exit


def frame(kind, *fields):
    """Return a frame with these fields, which are str or bytes."""
    message = bytearray(HEADER)
    message[:1] = kind
    for field in fields:
        if isinstance(field, str):
            field = str.encode(field, "utf-8", "replace")
        message += len(field).to_bytes(4, "big")
        message += field
    message[1:HEADER] = (len(message) - HEADER).to_bytes(4, "big")
    return message


def fields(payload):
    """Return the fields of a message, or the elements of a list."""
    found, at = [], 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 4], "big")
        found.append(payload[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def receive(control, header=b""):
    """Return the fields of the next frame. header is the part of its header that was already read."""
    header += exactly(control, HEADER - len(header))
    return fields(exactly(control, int.from_bytes(header[1:], "big")))


def exactly(control, size):
    data = bytearray()
    while len(data) < size:
        part = read(control, size - len(data))
        if not part:
            leave(0)  # The agent has ended, so end this process too.
        data += part
    return bytes(data)
