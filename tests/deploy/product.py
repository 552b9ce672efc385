"""What a manifest may refer to: verbs, flags, settings, ports, probes and metrics that Fairlead has."""

from __future__ import annotations

import dataclasses
import importlib
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.cli.conftest import Server, starting

from fairlead.access.environment import API_KEY as KEY
from fairlead.app.recorder_line import _LEAVE_S
from fairlead.app.server import _LAST_ANSWERS_S
from fairlead.config import Settings
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

__all__ = ["KEY", "longest_leave_s", "page_of", "serving_digits", "settings_of"]

_SETTINGS = {field.name: field.metadata["env"] for field in dataclasses.fields(Settings)}


def settings_of(command: Sequence[str], environment: Mapping[str, object]) -> Settings:
    """What a process goes by that is started like this: its verb takes the flags, and every variable is a setting."""
    verb, *arguments = command
    parser = ArgumentParser(exit_on_error=False)
    importlib.import_module(f"fairlead.cli.{verb}").configure(parser)
    parsed = parser.parse_args(arguments)
    ours = {key: str(value) for key, value in environment.items() if key.startswith(("FAIRLEAD_", "MLFLOW_"))}
    assert set(ours) <= set(_SETTINGS.values())
    return Settings.read(ours, **{name: getattr(parsed, name, None) for name in _SETTINGS})


def longest_leave_s(settings: Settings) -> float:
    """How long a server may take from SIGTERM until it has ended: whoever kills it sooner fails requests."""
    recorder_s = 0.0 if settings.prediction_log == "off" else _LEAVE_S
    return settings.drain_delay_s + settings.drain_timeout_s + recorder_s + _LAST_ANSWERS_S


@contextmanager
def serving_digits(root: Path, *flags: str) -> Iterator[Server]:
    """A server with one worker and a digit model, ready."""
    store = WritableStore(root / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    with starting(root) as start:
        server = start(store.root, "--workers", "1", *flags)
        server.wait_ready()
        yield server


def page_of(server: Server, port: int, path: str) -> int:
    """The status of a page at the port that the running server has in place of a default one."""
    settings = Settings.read({})
    ports = {settings.rest_port: server.port, settings.management_port: server.management_port}
    return server.page(path, ports[port])[0]
