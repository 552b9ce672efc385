"""The data plane as the console asks it: over its REST port, as everybody does."""

from __future__ import annotations

import urllib.error
import urllib.request

from fairlead.app.console.door import opener
from fairlead.console.ports import Answered
from fairlead.errors import Code, FairleadError

__all__ = ["RestPlane"]

_ANSWER_S = 15.0  # the parent waits a little longer for the console


class RestPlane:
    """A `DataPlane` behind a URL.

    Args:
        rest: the URL of the REST port.
        key: the console's own credential there.
        door: leads there past the port; None where none is needed.
    """

    def __init__(self, rest: str, key: str, door: int | None = None) -> None:
        self._headers = {"x-api-key": key}
        self.origin = rest
        self._asked = rest if door is None else "http://localhost"
        self._opener = opener(door)

    def ask(self, method: str, target: str, content_type: str, body: bytes) -> Answered:
        headers = self._headers | ({"content-type": content_type} if content_type else {})
        request = urllib.request.Request(self._asked + target, body or None, headers, method=method)  # noqa: S310 - ours
        try:
            with self._opener.open(request, timeout=_ANSWER_S) as answer:
                return Answered(answer.status, answer.headers.get("content-type", ""), answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answered(refusal.code, refusal.headers.get("content-type", ""), refusal.read())
        except OSError as error:
            raise FairleadError(
                Code.UNAVAILABLE, f"the REST port does not answer: {error}", hint="its state: fairlead doctor"
            ) from error
