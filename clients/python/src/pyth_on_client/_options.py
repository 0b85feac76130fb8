"""The keyword arguments of methods that run programs."""

from __future__ import annotations

from . import _types


class ProgramOptions(_types.RunOptions, total=False):
    """The options of a program."""

    language: _types.Language


class StartOptions(ProgramOptions, total=False):
    """The options of a program that the server queues."""

    webhook: _types.WebhookRequest
