"""A run keeps what is reported, tells its sink, and shows progress."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.run import PROFILES, Profile, Run, find_profile


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Notes:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def params(self, values: Mapping[str, Any]) -> None:
        self.told.append(("params", dict(values)))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append(("metrics", step, dict(values)))

    def picture(self, name: str, png: bytes) -> None:
        self.told.append(("picture", name, png))

    def text(self, name: str, text: str) -> None:
        self.told.append(("text", name, text))


def make_run(tmp_path: Path, **changes: Any) -> Run:
    """A run of two epochs."""
    ticks = iter(range(0, 1000, 10))
    settings: dict[str, Any] = {
        "seed": 1,
        "profile": Profile(name="short", epochs=2),
        "log_dir": tmp_path,
        "out": io.StringIO(),
        "clock": lambda: float(next(ticks)),
    }
    return Run(**(settings | changes))


def test_run_keeps_what_was_reported(tmp_path: Path) -> None:
    """Params and epochs can be read again, in the order of reporting."""
    run = make_run(tmp_path)
    run.params(batch=32)
    run.params(rate=0.1)
    run.epoch(1, {"loss": 2})
    run.epoch(2, {"loss": 1})

    assert dict(run.reported_params) == {"batch": 32, "rate": 0.1}
    assert [(epoch.number, dict(epoch.metrics)) for epoch in run.history] == [(1, {"loss": 2.0}), (2, {"loss": 1.0})]


def test_run_tells_its_sink(tmp_path: Path) -> None:
    """Params and the metrics of an epoch go on to the sink as they come."""
    notes = Notes()
    run = make_run(tmp_path, sink=notes)
    run.params(batch=32)
    run.epoch(1, {"loss": 0.5})

    assert notes.told == [("params", {"batch": 32}), ("metrics", 1, {"loss": 0.5})]


def test_pipe_gets_one_plain_line_an_epoch(tmp_path: Path) -> None:
    """Outside a terminal an epoch is one line with its metrics and seconds, and a batch is silent."""
    out = io.StringIO()
    run = make_run(tmp_path, out=out)
    run.batch(1, 10)
    run.epoch(1, {"loss": 0.25})
    run.epoch(2, {"loss": 0.125})
    run.close()

    assert out.getvalue() == "epoch 1/2  loss 0.2500  10.0 s\nepoch 2/2  loss 0.1250  10.0 s\n"


def test_terminal_gets_one_updating_line(tmp_path: Path) -> None:
    """On a terminal batches and epochs redraw one line, which ends when the run is closed."""
    out = Terminal()
    run = make_run(tmp_path, out=out)
    run.batch(5, 10)
    run.epoch(1, {"loss": 0.25})
    before = out.getvalue()
    run.close()

    assert "epoch 1.0/2" in before
    assert "loss 0.2500" in before
    assert "\n" not in before
    assert out.getvalue().endswith("\n")


def test_terminal_without_a_size_gets_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that gives its size as 0 x 0, as a container's may, is drawn on like any other."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", buffering=0) as screen:
        monkeypatch.setattr("sys.stderr", terminal)
        run = make_run(tmp_path, out=None)
        run.epoch(1, {"loss": 0.25})
        run.close()
        terminal.flush()

        shown = b""
        while b"loss 0.2500" not in shown:  # which comes in as many pieces as it likes
            shown += screen.read(4096)


def test_profiles_grow_from_dev_to_prod() -> None:
    """The dev profile trains five epochs, staging and prod ten; another name is refused with the names there are."""
    assert {name: profile.epochs for name, profile in PROFILES.items()} == {"dev": 5, "staging": 10, "prod": 10}
    assert find_profile("dev") is PROFILES["dev"]
    with pytest.raises(FairleadError, match="dev, prod, staging") as caught:
        find_profile("fast")

    assert caught.value.code == Code.INVALID_ARGUMENT
