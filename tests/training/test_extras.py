"""What a missing optional library says."""

from __future__ import annotations

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL, needs_extras


def test_missing_library_says_how_to_install_it() -> None:
    """The error names the purpose, the library and the command."""
    with pytest.raises(FairleadError) as caught, needs_extras("drawing pictures"):
        import a_library_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401 - the rule under test

    assert caught.value.code == Code.FAILED_PRECONDITION
    assert caught.value.message == "drawing pictures needs a_library_that_is_not_there, which is not installed"
    assert caught.value.hint == INSTALL


def test_other_failures_pass_through() -> None:
    """Only a missing library is explained; any other error is the caller's own."""
    with pytest.raises(ZeroDivisionError), needs_extras("dividing"):
        raise ZeroDivisionError
