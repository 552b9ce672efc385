"""What the console asks of the rest: documents to show, and things to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = [
    "Answered",
    "Chosen",
    "DataPlane",
    "Document",
    "Done",
    "DriftView",
    "JournalView",
    "ModelsView",
    "OverviewView",
    "PredictionsView",
    "QualityView",
    "ReleaseActions",
    "RolloutsView",
    "TrainingView",
    "Views",
]

Document = dict[str, Any]
"""What one page shows, as JSON has it: the page and the program that asks for JSON are told the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done.

    Attributes:
        text: one sentence.
        after: what is still to do when the user has been told, and takes long; it raises nothing.
    """

    text: str
    after: Callable[[], None] | None = None


class OverviewView(Protocol):
    """The first page. Like every view it may take a second, so it is asked in a thread."""

    def overview(self) -> Document:
        """What serves, how it does, and what waits for a person."""


class ModelsView(Protocol):
    """Versions and releases."""

    def models(self) -> Document:
        """What there is, and what serves."""

    def model(self, model: str) -> Document:
        """A model's versions, and every release there was."""

    def version(self, model: str, version: int) -> Document:
        """What a version says of itself: figures, verdict, lineage."""

    def compare(self, model: str, left: int, right: int) -> Document:
        """Two versions beside each other."""


class ReleaseActions(Protocol):
    """What people do to releases. Each is done in the name of `user`, and stands in the journal."""

    def promote(self, user: str, model: str, version: int, why: str) -> Done:
        """Let the version serve."""

    def rollback(self, user: str, model: str, version: int, why: str) -> Done:
        """Let an earlier version serve again."""


class RolloutsView(Protocol):
    """Versions that are tried, or were."""

    def rollouts(self) -> Document:
        """Those under way, and those that ended, the newest first."""

    def rollout(self, id_: str) -> Document:
        """One, with its evidence."""

    def end(self, user: str, id_: str, status: str, why: str) -> Done:
        """End it as `user` decides: promoted, aborted or rolled_back."""


class QualityView(Protocol):
    """How good a model is in production."""

    def quality(self, model: str, span: str) -> Document:
        """Over the last `span`, one of the document's `spans`; another means the usual one."""


class DriftView(Protocol):
    """Whether a model is asked what it was made for."""

    def drift(self, model: str, version: int | None) -> Document:
        """Each feature now beside its reference; None for the stable version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which predictions are to be seen.

    Attributes:
        version: only of this one; None for all.
        arm: only of this one; None for all.
        before: only those logged before the one of this number; None for the newest.
    """

    version: int | None = None
    arm: str | None = None
    before: int | None = None


class PredictionsView(Protocol):
    """What was answered of late, and what the truth was."""

    def predictions(self, model: str, chosen: Chosen) -> Document:
        """The newest first."""

    def label(self, user: str, prediction: str, label: str) -> Done:
        """Take in what `user` says the truth was."""


class TrainingView(Protocol):
    """Training runs."""

    def runs(self, model: str) -> Document:
        """Those of a model, the newest first."""

    def run(self, id_: str) -> Document:
        """One, with its curves."""


class JournalView(Protocol):
    """Who did what, when and why."""

    def journal(self, model: str | None, after: int | None) -> Document:
        """The newest first, of one model or of all; those before the entry `after`, or the newest."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of the data plane, whatever its status."""

    status: int
    content_type: str
    body: bytes


class DataPlane(Protocol):
    """What answers predictions.

    Attributes:
        origin: its URL, for requests that people copy.
    """

    origin: str

    def ask(self, method: str, target: str, content_type: str, body: bytes) -> Answered:
        """Its answer to one request for `target`, a path with its query; like every view it is asked in a thread.

        Raises:
            FairleadError: UNAVAILABLE when it gives none.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Everything that the pages show and do."""

    overview: OverviewView
    models: ModelsView
    releases: ReleaseActions
    rollouts: RolloutsView
    quality: QualityView
    drift: DriftView
    predictions: PredictionsView
    training: TrainingView
    journal: JournalView
    plane: DataPlane
