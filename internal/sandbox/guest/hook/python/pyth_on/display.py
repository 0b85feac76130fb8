"""Values for display() and final expressions that are shown by their content.

The names and the first parameters are the same as in IPython.display, so that code for
notebooks works here without IPython.
"""

__all__ = ["HTML", "JPEG", "JSON", "Image", "Javascript", "Latex", "Markdown", "PNG", "Pretty", "SVG"]


class Shown:
    """A value that is shown in one media type."""

    media = "text/plain"

    def __init__(self, data=None, filename=None):
        if data is None and filename is None:
            raise ValueError("no data: give data or filename")
        if data is None:
            with open(filename, "rb") as f:
                data = f.read()
            if self.media.startswith("text/") or self.media.endswith(("xml", "json", "javascript")):
                data = data.decode()
        self.data = data

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {self.media: self.data}

    def __repr__(self):
        return f"<{type(self).__name__} object>"


class HTML(Shown):
    media = "text/html"


class Markdown(Shown):
    media = "text/markdown"


class Latex(Shown):
    media = "text/latex"


class SVG(Shown):
    media = "image/svg+xml"


class PNG(Shown):
    media = "image/png"


class JPEG(Shown):
    media = "image/jpeg"


class JSON(Shown):
    media = "application/json"


class Javascript(Shown):
    media = "application/javascript"


class Pretty(Shown):
    """Text as it is, without quotes."""


class Image(Shown):
    """A picture. Its type is detected from its first bytes unless format is given."""

    def __init__(self, data=None, filename=None, format=None):
        super().__init__(data, filename)
        kinds = {b"\x89PNG": "png", b"\xff\xd8": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
        for start, kind in kinds.items():
            if format is None and bytes(self.data).startswith(start):
                format = kind
        if format is None:
            raise ValueError("unknown image type: give format")
        self.media = "image/" + {"jpg": "jpeg"}.get(format, format)
