"""The files that a browser loads, as they go over the wire."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

__all__ = ["POLICY", "Asset", "assets", "page", "pane"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
"""What the page may do: run the scripts that come with it, and ask where it came from."""

_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_PANE = "<!-- pane -->"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file.

    Attributes:
        etag: changes when the file does; with its quotes.
    """

    body: bytes
    content_type: str
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.body).hexdigest()[:20]}"')


@functools.cache
def assets() -> Mapping[str, Asset]:
    """The style and the scripts by name. They find each other in one folder, wherever that is."""
    found = sorted(resources.files(__package__).joinpath("static").iterdir(), key=lambda file: file.name)
    kinds = ((file, file.name.rpartition(".")[2]) for file in found)
    return {file.name: Asset(file.read_bytes(), _TYPES[kind]) for file, kind in kinds if kind != "html"}


@functools.cache
def pane() -> str:
    """The markup to put into a page that loads `try.css` and, as a module, `try.js`.

    The page's element around it has the id "try", and says in `data-api` what to put before the paths that are asked,
    and in `data-origin` the address of the REST port in requests that are shown; both may be empty.
    """
    return _read("pane.html")


@functools.cache
def page() -> Asset:
    """The pane as a page of its own, which asks where it came from."""
    return Asset(_read("page.html").replace(_PANE, pane()).encode(), _TYPES["html"])


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("static", name).read_text("utf-8")
