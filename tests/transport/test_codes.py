"""Codes become statuses in one table."""

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HTTP_STATUS, HttpError, http_status


def test_every_code_has_a_row() -> None:
    """Every canonical code has one HTTP status, and nothing else has."""
    assert set(HTTP_STATUS) == set(Code)


def test_every_row_is_an_error() -> None:
    """No error is told with a status of success."""
    assert all(400 <= status < 600 for status in HTTP_STATUS.values())


def test_http_error_says_its_own_status() -> None:
    """A refusal that HTTP has a word for uses that word instead of its code's row."""
    assert http_status(HttpError(413, Code.RESOURCE_EXHAUSTED, "too large")) == 413
    assert http_status(FairleadError(Code.RESOURCE_EXHAUSTED, "too many")) == 429
