"""The results of runs, which display themselves in notebooks."""

from __future__ import annotations

import base64
import dataclasses
import html
from typing import Any, Dict, List

from . import _types


class Result(Dict[str, Any]):
    """A rich value: a map from media type to data."""

    def _repr_html_(self) -> str:
        """Return HTML that cannot reach the notebook: a program's HTML is in a sandboxed frame."""
        for kind in ("image/png", "image/jpeg", "image/gif", "image/webp"):
            if kind in self:
                return f'<img src="data:{kind};base64,{html.escape(self[kind])}">'
        if "image/svg+xml" in self:
            encoded = base64.b64encode(self["image/svg+xml"].encode()).decode()
            return f'<img src="data:image/svg+xml;base64,{encoded}">'
        if "text/html" in self:
            frame = 'sandbox="allow-scripts" style="width: 100%; height: 30em; border: 0"'
            return f'<iframe {frame} srcdoc="{html.escape(self["text/html"])}"></iframe>'
        return f"<pre>{html.escape(str(self.get('text/plain', dict(self))))}</pre>"

    def __repr__(self) -> str:
        return str(self.get("text/plain", dict(self)))


@dataclasses.dataclass
class Run(_types.ExecuteResponse):
    """The result of a run. In a notebook it shows its output and its rich values."""

    results: List[Result]  # type: ignore[assignment]

    def __post_init__(self):
        self.results = [Result(value) for value in self.results]

    @property
    def ok(self) -> bool:
        """Whether the program exited with 0."""
        return self.status == "succeeded"

    def _repr_html_(self) -> str:
        parts = [f"<pre>{html.escape(text)}</pre>" for text in (self.stdout, self.stderr) if text]
        parts += [result._repr_html_() for result in self.results]
        if not self.ok:
            parts.append(f"<pre>{html.escape(self.status.replace('_', ' '))}</pre>")
        return "\n".join(parts)


def content_of(file: _types.OutputFile) -> bytes:
    """Return the content of an output file."""
    return base64.b64decode(file.content) if file.encoding == "base64" else file.content.encode()
