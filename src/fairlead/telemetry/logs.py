"""The log of the process: text for people, JSON lines for machines. Nothing is written before it was redacted."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from fairlead.redaction.redactor import redact
from fairlead.telemetry.log_file import LogFile

__all__ = ["configure_logging", "keep_log"]

_IDS = ("request_id", "trace_id")
"""Of the request that a line is about, given as `extra`."""
_log = logging.getLogger(__name__)


class _Redacting(logging.Formatter):
    """Takes what is about people, and secrets, out of messages and tracebacks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = redact(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - the library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return redact(super().formatException(ei))


class _JsonFormatter(_Redacting):
    """One JSON object a line; control characters in values are escaped by JSON itself."""

    def __init__(self, *, has_exceptions: bool = True) -> None:
        super().__init__()
        self._has_exceptions = has_exceptions

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": redact(record.getMessage()),
        }
        line |= {name: value for name in _IDS if (value := getattr(record, name, ""))}
        if record.exc_info and self._has_exceptions:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class _FileHandler(logging.Handler):
    """Writes the lines of one stream.

    Args:
        file: where.
        is_for_exceptions: whether it takes only what nobody expected, with the traceback; else all, without.
    """

    def __init__(self, file: LogFile, *, is_for_exceptions: bool) -> None:
        super().__init__()
        self._file = file
        self._is_for_exceptions = is_for_exceptions
        self.setFormatter(_JsonFormatter(has_exceptions=is_for_exceptions))

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or not self._is_for_exceptions:
            self._file.write(self.format(record).encode() + b"\n")


def configure_logging(stream: TextIO, log_format: str) -> None:
    """Send the whole process's log to `stream`, as text on a terminal and as JSON lines elsewhere.

    What ends a thread or the process is logged too: the interpreter would print it as it is.

    Args:
        stream: standard error, as a rule.
        log_format: "auto", "json" or "text".
    """
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Redacting("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S") if as_text else _JsonFormatter()
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the tables
    sys.excepthook = _log_end
    threading.excepthook = lambda ended: _log_end(ended.exc_type, ended.exc_value, ended.exc_traceback)


def keep_log(application: LogFile, exceptions: LogFile) -> None:
    """Write the process's log to files as well, as JSON lines; tracebacks to a file of their own."""
    logging.getLogger().handlers += [
        _FileHandler(application, is_for_exceptions=False),
        _FileHandler(exceptions, is_for_exceptions=True),
    ]


def _log_end(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("ended by an error that nobody expected", exc_info=(kind, error or kind(), traceback))
