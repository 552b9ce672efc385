"""Arrays as they are written down: texts redacted, numbers as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.redaction.redactor import redact
from fairlead.servable.signature import Array

__all__ = ["redacted"]


def redacted(values: Array) -> Array:
    r"""The same where it holds numbers; else texts, each redacted, and of bytes that are none how many there are.

    >>> redacted(np.array(["call 020 7946 0018", b"ok", b"\xff\xd8"], object)).tolist()
    ['call <phone>', 'ok', '<2 bytes>']
    """
    if values.dtype.kind not in "OSU":
        return values
    shown = np.empty(values.shape, object)
    shown.ravel()[:] = [_shown(value) for value in values.ravel()]
    return shown


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return f"<{len(value)} bytes>"
    return redact(str(value))
