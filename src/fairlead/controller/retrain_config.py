"""What a retraining may be told in a file: `config.json`, read strictly into a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead.config import LOCAL, parse_engine
from fairlead.errors import Code, FairleadError
from fairlead.gate.thresholds import Thresholds
from fairlead.training.run import Profile

__all__ = ["RetrainConfig"]

_MAX_EPOCHS = 10_000
_MAX_BATCH_SIZE = 65_536
_MAX_BYTES = 1 << 20
_SECTIONS: Mapping[str, Sequence[str]] = {
    "": ("accuracy_threshold", "engine", "training_config", "notification_config"),
    "training_config": ("epochs", "batch_size"),
    "notification_config": ("enabled",),
}
_HINT = (
    '{"accuracy_threshold": 0.97, "training_config": {"epochs": 10, "batch_size": 128}, '
    '"notification_config": {"enabled": true}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainConfig:
    """The choices for one retraining; what is None stays as the profile and the thresholds have it.

    Attributes:
        accuracy_threshold: least share of held-out rows that the candidate gets right, from 0 to 1.
        engine: where it trains, see `parse_engine`.
        epochs: passes over the training rows, from 1 to 10,000.
        batch_size: rows in one step of the training, from 1 to 65,536.
        is_notifying: whether people are told of the outcome.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the key and the value.
    """

    accuracy_threshold: float | None = None
    engine: str = LOCAL
    epochs: int | None = None
    batch_size: int | None = None
    is_notifying: bool = True

    def __post_init__(self) -> None:
        share = self.accuracy_threshold
        if share is not None and not (_is_number(share) and 0.0 <= share <= 1.0):
            raise _wrong("accuracy_threshold", share, "a share from 0 to 1, such as 0.97")
        try:
            parse_engine(self.engine)
        except (TypeError, ValueError) as error:
            raise _wrong("engine", self.engine, "local, ray or ray://HOST:PORT") from error
        for name, most in (("epochs", _MAX_EPOCHS), ("batch_size", _MAX_BATCH_SIZE)):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and 1 <= value <= most):
                raise _wrong(f"training_config.{name}", value, f"a whole number from 1 to {most:,}")
        if not isinstance(self.is_notifying, bool):
            raise _wrong("notification_config.enabled", self.is_notifying, "true or false")

    @staticmethod
    def read(path: Path) -> RetrainConfig:
        """Read the file.

        Raises:
            FairleadError: NOT_FOUND, or INVALID_ARGUMENT naming the file, the key and the value.
        """
        try:
            with path.open("rb") as reader:
                data = reader.read(_MAX_BYTES + 1)
        except OSError as error:
            raise FairleadError(Code.NOT_FOUND, f"{path} cannot be read: {error.strerror}") from error
        if len(data) > _MAX_BYTES:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{path} is larger than {_MAX_BYTES} bytes", hint=_HINT)
        try:
            return RetrainConfig.from_json(json.loads(data, object_pairs_hook=_without_doubles))
        except (ValueError, RecursionError) as error:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{path} is not JSON: {error}", hint=_HINT) from error
        except FairleadError as error:
            raise FairleadError(error.code, f"{path}: {error.message}", hint=error.hint) from error

    @staticmethod
    def from_json(body: Any) -> RetrainConfig:
        """The choices in a decoded `config.json`.

        >>> RetrainConfig.from_json({"accuracy_threshold": 0.95, "training_config": {"epochs": 3}}).epochs
        3
        """
        _check_keys("", body)
        training, notification = body.get("training_config", {}), body.get("notification_config", {})
        _check_keys("training_config", training)
        _check_keys("notification_config", notification)
        return RetrainConfig(
            accuracy_threshold=body.get("accuracy_threshold"),
            engine=body.get("engine", LOCAL),
            epochs=training.get("epochs"),
            batch_size=training.get("batch_size"),
            is_notifying=notification.get("enabled", True),
        )

    def to_json(self) -> dict[str, Any]:
        """As `config.json` has it; what is None is left out."""
        training = {name: value for name in ("epochs", "batch_size") if (value := getattr(self, name)) is not None}
        threshold = {} if self.accuracy_threshold is None else {"accuracy_threshold": self.accuracy_threshold}
        engine = {} if self.engine == LOCAL else {"engine": self.engine}
        notification = {"enabled": self.is_notifying}
        return {**threshold, **engine, "training_config": training, "notification_config": notification}

    def asked(self, epochs: int | None, engine: str | None) -> RetrainConfig:
        """The same with so many epochs and on that engine; None changes nothing."""
        return replace(
            self,
            epochs=self.epochs if epochs is None else epochs,
            engine=self.engine if engine is None else engine,
        )

    def profile(self, base: Profile) -> Profile:
        """How long to train: `base`, with the epochs and the batch size that were asked for."""
        epochs = base.epochs if self.epochs is None else self.epochs
        return replace(base, epochs=epochs, batch_size=self.batch_size or base.batch_size)

    def thresholds(self, base: Thresholds) -> Thresholds:
        """Where the gate draws its lines: `base`, with the accuracy that was asked for.

        What each class must reach is never above what the whole must: a lower accuracy lowers it as well.

        >>> asked = RetrainConfig(accuracy_threshold=0.8).thresholds(Thresholds())
        >>> asked.min_accuracy, asked.min_class_recall
        (0.8, 0.8)
        """
        if self.accuracy_threshold is None:
            return base
        share = float(self.accuracy_threshold)
        return replace(base, min_accuracy=share, min_class_recall=min(base.min_class_recall, share))


def _check_keys(section: str, body: Any) -> None:
    if not isinstance(body, Mapping):
        raise _wrong(section or "config.json", body, "an object")
    known = _SECTIONS[section]
    for key, value in body.items():
        if key not in known:
            where = f"{section}.{key}" if section else str(key)
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{where} is not a setting of a retraining; it is {_shown(value)}",
                hint=f"settings there: {', '.join(known)}",
            )
        if value is None:
            raise _wrong(f"{section}.{key}" if section else str(key), value, "left out to keep the default")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{key} is there twice: {_shown(found[key])} and {_shown(value)}", hint=_HINT
            )
        found[key] = value
    return found


def _wrong(key: str, value: Any, wanted: str) -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, f"{key} is {_shown(value)}, not {wanted}", hint=_HINT)


def _shown(value: Any) -> str:
    return json.dumps(value)[:80]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
