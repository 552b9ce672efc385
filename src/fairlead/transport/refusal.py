"""What an error looks like to a person or a program; a dialect with a shape of its own gives that to `refused`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairlead.errors import Code, FairleadError, OverloadError, RateLimitError
from fairlead.transport.codes import HttpError, http_status
from fairlead.transport.message import Response

__all__ = ["refusal", "refused"]

_RETRY_AFTER = (b"retry-after", b"1")


def refusal(error: FairleadError) -> Response:
    """The code, the sentence and the next step as JSON."""
    return refused({"error": {"code": error.code.value, "message": error.message, "hint": error.hint}}, error)


def refused(value: Mapping[str, Any], error: FairleadError) -> Response:
    """`value` under the status and the headers that `error` asks for; one that will pass says when to try again."""
    headers = error.headers if isinstance(error, HttpError) else ()
    if error.code is Code.UNAVAILABLE or isinstance(error, OverloadError):
        headers = (*headers, _RETRY_AFTER)
    elif isinstance(error, RateLimitError):
        headers = (*headers, (b"retry-after", b"%d" % math.ceil(error.retry_after_s)))
    return Response.of(value, status=http_status(error), headers=headers, code=error.code)
