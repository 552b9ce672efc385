"""Logs that a machine reads line by line."""

import functools
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.redaction.redactor import redact
from fairlead.telemetry.log_file import LogFile, Stream
from fairlead.telemetry.logs import configure_logging, keep_log


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Each test leaves the process's log as it found it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(message: str, *, log_format: str = "json") -> str:
    """What one message writes."""
    stream = io.StringIO()
    configure_logging(stream, log_format)
    logging.getLogger("fairlead.test").warning("%s", message)
    return stream.getvalue()


@pytest.mark.parametrize(
    "message",
    ["plain", "two\nlines", "\r\n", "\x1b[31mred\x1b[0m", "a\u2028b\u2029c\x85d", '"}{', "\0\x07", "é ✓", "\ud800", ""],
)
def test_a_json_line_is_one_object(message: str) -> None:
    """Nothing in a message breaks out of its line or reaches a terminal raw."""
    written = logged(message)

    assert written.endswith("}\n")
    assert len(written.splitlines()) == 1
    assert written.isascii()
    assert written[:-1].isprintable()
    assert json.loads(written)["message"] == message


@given(st.text())
def test_any_message_is_one_line(message: str) -> None:
    """Whatever a client sent."""
    written = logged(message)

    assert len(written.splitlines()) == 1
    assert json.loads(written)["message"] == redact(message)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_is_written_as_it_was_typed(log_format: str) -> None:
    """Messages and tracebacks are redacted, whatever they are written as."""
    stream = io.StringIO()
    configure_logging(stream, log_format)
    try:
        int("no row for jo@example.org")
    except ValueError:
        logging.getLogger().exception("call %s", "+44 20 7946 0018")

    assert "example.org" not in stream.getvalue()
    assert "7946" not in stream.getvalue()
    assert "<phone>" in stream.getvalue()
    assert "'no row for <email>'" in stream.getvalue()


def test_what_ends_a_thread_is_logged() -> None:
    """The interpreter would print it as it is."""
    stream = io.StringIO()
    configure_logging(stream, "json")
    thread = threading.Thread(target=int, args=["jo@example.org"])
    thread.start()
    thread.join()

    assert "'<email>'" in json.loads(stream.getvalue())["exception"]


def test_what_ends_the_process_is_logged() -> None:
    """Likewise; an interrupt by the keyboard is no error."""
    program = (
        "import sys; from fairlead.telemetry.logs import configure_logging; configure_logging(sys.stderr, 'json');"
        "raise eval(sys.argv[1])"
    )
    run = functools.partial(subprocess.run, capture_output=True, check=False)
    broken = run([sys.executable, "-c", program, "OSError('jo@example.org')"])
    stopped = run([sys.executable, "-c", program, "KeyboardInterrupt()"])

    assert json.loads(broken.stderr)["exception"].endswith("OSError: <email>")
    assert not stopped.stderr


def test_what_a_json_line_holds() -> None:
    """Time in UTC with milliseconds, level, logger, process and message."""
    line = json.loads(logged("hello"))

    assert list(line) == ["time", "level", "logger", "pid", "message"]
    assert (line["level"], line["logger"], line["message"]) == ("warning", "fairlead.test", "hello")
    assert line["time"][10] == "T"
    assert line["time"].endswith("+00:00")
    assert len(line["time"]) == len("2026-01-01T00:00:00.000+00:00")


def test_an_exception_is_in_its_line() -> None:
    """The traceback does not follow on lines of its own."""
    stream = io.StringIO()
    configure_logging(stream, "json")
    try:
        json.loads("{}")["weights\n"]
    except KeyError:
        logging.getLogger().exception("it broke")
    (written,) = stream.getvalue().splitlines()
    line = json.loads(written)

    assert line["message"] == "it broke"
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith(r"KeyError: 'weights\n'")


@pytest.mark.parametrize(
    ("stream", "log_format", "is_json"),
    [
        (io.StringIO, "auto", True),
        (Terminal, "auto", False),
        (Terminal, "json", True),
        (io.StringIO, "text", False),
        (Terminal, "text", False),
        (io.StringIO, "json", True),
    ],
)
def test_text_on_a_terminal_and_json_elsewhere(stream: type[io.StringIO], log_format: str, is_json: bool) -> None:
    """Unless one of them was asked for."""
    log = stream()
    configure_logging(log, log_format)
    logging.getLogger("fairlead").warning("hello")

    assert log.getvalue().startswith("{") is is_json
    assert log.getvalue()[8:] == " WARNING hello\n" or is_json


def test_the_log_is_configured_once_however_often() -> None:
    """A second call replaces the first."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging(first, "json")
    configure_logging(second, "json")
    logging.getLogger("fairlead").info("hello")

    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_a_line_about_a_request_names_it() -> None:
    """By the ids that its client and its trace have; others have none."""
    stream = io.StringIO()
    configure_logging(stream, "json")
    logging.getLogger().error("it broke", extra={"request_id": "0189", "trace_id": ""})

    line = json.loads(stream.getvalue())
    assert line["request_id"] == "0189"
    assert "trace_id" not in line


def test_tracebacks_have_a_file_of_their_own(tmp_path: Path) -> None:
    """What the application says is in one file, and what nobody expected, with the traceback, in another; redacted."""
    configure_logging(io.StringIO(), "text")
    streams = (Stream.APPLICATION, Stream.EXCEPTIONS)
    keep_log(*(LogFile(tmp_path, stream, max_bytes=1 << 20, on_failure=print) for stream in streams))
    logging.getLogger().warning("mail from jo@example.org")
    try:
        int("jo@example.org")
    except ValueError:
        logging.getLogger().exception("it broke")
    lines = {
        path.name.partition("-")[0]: [json.loads(line) for line in path.read_text().splitlines()]
        for path in tmp_path.iterdir()
    }

    assert [line["message"] for line in lines["application"]] == ["mail from <email>", "it broke"]
    assert [line["message"] for line in lines["exceptions"]] == ["it broke"]
    assert "exception" not in lines["application"][1]
    assert lines["exceptions"][0]["exception"].endswith("'<email>'")
