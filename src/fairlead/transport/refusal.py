"""What an error looks like to a person or a program, everywhere but in the TensorFlow Serving dialect."""

from __future__ import annotations

from fairlead.errors import FairleadError
from fairlead.transport.codes import HttpError, http_status
from fairlead.transport.message import Response

__all__ = ["refusal"]


def refusal(error: FairleadError) -> Response:
    """The code, the sentence and the next step as JSON."""
    return Response.of(
        {"error": {"code": error.code.value, "message": error.message, "hint": error.hint}},
        status=http_status(error),
        headers=error.headers if isinstance(error, HttpError) else (),
        code=error.code,
    )
