"""TensorFlow, for what is written with it."""

from __future__ import annotations

import os
from typing import Any

from fairlead.training.extras import needs_extras

__all__ = ["tensorflow"]

_INSTALL = "pip install 'fairlead[control,tensorflow]'"


def tensorflow(purpose: str) -> Any:
    """The library, without the lines that it writes as it starts.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it tells of each CPU feature
    with needs_extras(purpose, _INSTALL):
        import tensorflow as tf  # noqa: PLC0415 - part of an extra
    return tf
