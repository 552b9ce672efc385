"""Libraries of the optional extras: what a missing one says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.errors import Code, FairleadError

__all__ = ["INSTALL", "INSTALL_CONTROL", "needs_extras"]

INSTALL = "pip install 'fairlead[train,tensorflow,sklearn]'"
INSTALL_CONTROL = "pip install 'fairlead[control]'"


@contextmanager
def needs_extras(purpose: str, install: str = INSTALL) -> Iterator[None]:
    """Guard the import of an optional library.

    Args:
        purpose: what cannot be done without it, such as "drawing pictures".
        install: the command that installs it.

    Raises:
        FairleadError: FAILED_PRECONDITION, naming the library and how to install it, when it is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{purpose} needs {error.name}, which is not installed", hint=install
        ) from error
