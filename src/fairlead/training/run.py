"""One training run: what a recipe's `train` is given, and what is kept of it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, TextIO

from fairlead.errors import Code, FairleadError
from fairlead.training.extras import needs_extras

__all__ = ["PROFILES", "Epoch", "Profile", "Run", "RunSink", "find_profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How long to train.

    Attributes:
        name: by which it is asked for.
        epochs: passes over the data.
        batch_size: rows a step; None leaves it to the recipe.
    """

    name: str
    epochs: int
    batch_size: int | None = None


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "dev": Profile(name="dev", epochs=5),
        "staging": Profile(name="staging", epochs=10),
        "prod": Profile(name="prod", epochs=10),
    }
)


def find_profile(name: str) -> Profile:
    """The profile called `name`, else INVALID_ARGUMENT."""
    if name in PROFILES:
        return PROFILES[name]
    raise FairleadError(
        Code.INVALID_ARGUMENT, f"{name!r} is not a profile", hint="profiles: " + ", ".join(sorted(PROFILES))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the data measured."""

    number: int
    metrics: Mapping[str, float]


class RunSink(Protocol):
    """Where a run is reported, such as an experiment tracker."""

    def params(self, values: Mapping[str, Any]) -> None:
        """The choices of this run."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """What was measured at `step`."""

    def picture(self, name: str, png: bytes) -> None:
        """A picture, as the bytes of a PNG file."""

    def text(self, name: str, text: str) -> None:
        """A text file."""


class Run:
    """What a recipe's `train` gets: how to train, where to log, and whom to tell.

    Everything reported stays in memory too, for the lineage. Progress is one updating line on a terminal and one
    plain line an epoch elsewhere.

    Args:
        seed: makes the training repeatable.
        profile: how long to train.
        log_dir: a directory for TensorBoard.
        sink: whom to tell; nobody when None.
        out: where progress is written; standard error when None.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        seed: int,
        profile: Profile,
        log_dir: Path,
        sink: RunSink | None = None,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seed = seed
        self.profile = profile.name
        self.epochs = profile.epochs
        self.batch_size = profile.batch_size
        self.log_dir = log_dir
        self.sink = sink
        self._params: dict[str, Any] = {}
        self._history: list[Epoch] = []
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._epoch_began = clock()
        self._bar: Any = None

    @property
    def reported_params(self) -> Mapping[str, Any]:
        """Every choice reported so far."""
        return MappingProxyType(self._params)

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Every epoch reported so far, in the order of reporting."""
        return tuple(self._history)

    def params(self, **values: Any) -> None:
        """Report the choices of this training: plain values by name."""
        self._params.update(values)
        if self.sink:
            self.sink.params(values)

    def batch(self, done: int, of: int) -> None:
        """Report how far the running epoch is. Seen on a terminal alone; call it as often as you like."""
        if self._out.isatty():
            bar = self._shown_bar()
            bar.update(len(self._history) + min(done / max(of, 1), 1.0) - bar.n)  # draws ten times a second at most

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Report that epoch `number` (from 1) has ended, and what it measured."""
        values = {name: float(value) for name, value in metrics.items()}
        self._history.append(Epoch(number=number, metrics=MappingProxyType(values)))
        self._show(number, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
        if self.sink:
            self.sink.metrics(number, values)

    def close(self) -> None:
        """End the progress line. The run can still be read."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, number: int, measured: str) -> None:
        now = self._clock()
        took, self._epoch_began = now - self._epoch_began, now
        if self._out.isatty():
            bar = self._shown_bar()
            bar.n = number
            bar.set_postfix_str(measured)
        else:
            self._out.write(f"epoch {number}/{self.epochs}  {measured}  {took:.1f} s\n")
            self._out.flush()

    def _shown_bar(self) -> Any:
        if self._bar is None:
            self._bar = _bar(self.epochs, self._out)
        return self._bar


def _bar(epochs: int, out: TextIO) -> Any:
    with needs_extras("showing progress"):
        from tqdm import tqdm  # noqa: PLC0415 - part of the train extra
    layout = "{percentage:3.0f}% |{bar:12}| epoch {n:.1f}/{total}, {remaining} left{postfix}"
    # tqdm draws nothing on a terminal that gives its size as 0 x 0, as some containers' do; this falls back to 80 x 24.
    columns, lines = shutil.get_terminal_size()
    return tqdm(total=epochs, file=out, bar_format=layout, ncols=columns, nrows=lines)
