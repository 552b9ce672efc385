"""`config.json` is read strictly: what it says is done, and what it cannot mean is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.controller.retrain_config import RetrainConfig
from fairlead.errors import Code, FairleadError
from fairlead.gate.thresholds import Thresholds
from fairlead.training.run import PROFILES

FULL = {
    "accuracy_threshold": 0.95,
    "training_config": {"epochs": 7, "batch_size": 64},
    "notification_config": {"enabled": False},
}


def written(tmp_path: Path, text: str) -> Path:
    """A file `config.json` with this text."""
    path = tmp_path / "config.json"
    path.write_text(text)
    return path


def refused(tmp_path: Path, text: str) -> FairleadError:
    """The error that reading this text gives."""
    with pytest.raises(FairleadError) as caught:
        RetrainConfig.read(written(tmp_path, text))
    return caught.value


def test_a_full_file_is_understood(tmp_path: Path) -> None:
    """Each setting arrives, and is written as it was read."""
    config = RetrainConfig.read(written(tmp_path, json.dumps(FULL)))

    assert config == RetrainConfig(accuracy_threshold=0.95, epochs=7, batch_size=64, is_notifying=False)
    assert config.to_json() == FULL
    assert RetrainConfig.from_json(config.to_json()) == config


def test_what_is_left_out_stays_as_it_is(tmp_path: Path) -> None:
    """An empty file changes nothing, and people are told."""
    config = RetrainConfig.read(written(tmp_path, "{}"))

    assert config.profile(PROFILES["prod"]) == PROFILES["prod"]
    assert config.thresholds(Thresholds()) == Thresholds()
    assert config.is_notifying
    assert RetrainConfig.from_json(config.to_json()) == config


def test_epochs_are_the_profiles() -> None:
    """The rest of the profile stays."""
    profile = RetrainConfig(epochs=3).profile(PROFILES["prod"])

    assert (profile.name, profile.epochs) == ("prod", 3)


def test_epochs_asked_for_by_hand_come_first() -> None:
    """`--epochs` over the file, and none over neither."""
    config = RetrainConfig(epochs=3)

    assert config.asked(9, "ray") == RetrainConfig(epochs=9, engine="ray")
    assert config.asked(None, None) == config
    with pytest.raises(FairleadError, match=r"training_config\.epochs is 0"):
        config.asked(0, None)


@pytest.mark.parametrize(("asked", "accuracy", "recall"), [(0.99, 0.99, 0.90), (0.85, 0.85, 0.85), (1, 1.0, 0.90)])
def test_the_accuracy_is_the_gates(asked: float, accuracy: float, recall: float) -> None:
    """A lower one lowers what each class must reach; a higher one raises the whole alone."""
    thresholds = RetrainConfig(accuracy_threshold=asked).thresholds(Thresholds())

    assert (thresholds.min_accuracy, thresholds.min_class_recall) == (accuracy, recall)
    assert thresholds.champion_alpha == Thresholds().champion_alpha


@pytest.mark.parametrize(
    ("body", "key", "value"),
    [
        ({"accuracy": 0.9}, "accuracy is not a setting", "0.9"),
        ({"training_config": {"epoch": 5}}, "training_config.epoch is not a setting", "5"),
        ({"notification_config": {"enabled": True, "to": "x"}}, "notification_config.to is not a setting", '"x"'),
        ({"accuracy_threshold": 95}, "accuracy_threshold is", "95"),
        ({"accuracy_threshold": -0.1}, "accuracy_threshold is", "-0.1"),
        ({"accuracy_threshold": "0.9"}, "accuracy_threshold is", '"0.9"'),
        ({"accuracy_threshold": True}, "accuracy_threshold is", "true"),
        ({"accuracy_threshold": None}, "accuracy_threshold is", "null"),
        ({"accuracy_threshold": float("nan")}, "accuracy_threshold is", "NaN"),
        ({"engine": "spark"}, "engine is", '"spark"'),
        ({"engine": 1}, "engine is", "1"),
        ({"training_config": {"epochs": 0}}, "training_config.epochs is", "0"),
        ({"training_config": {"epochs": 2.5}}, "training_config.epochs is", "2.5"),
        ({"training_config": {"epochs": 10_001}}, "training_config.epochs is", "10001"),
        ({"training_config": {"batch_size": "32"}}, "training_config.batch_size is", '"32"'),
        ({"training_config": {"batch_size": -1}}, "training_config.batch_size is", "-1"),
        ({"training_config": [1]}, "training_config is", "[1]"),
        ({"notification_config": {"enabled": "yes"}}, "notification_config.enabled is", '"yes"'),
        ({"notification_config": {"enabled": 1}}, "notification_config.enabled is", "1"),
        ([1, 2], "config.json is", "[1, 2]"),
    ],
)
def test_what_it_cannot_mean_is_refused_by_name(tmp_path: Path, body: Any, key: str, value: str) -> None:
    """The file, the key and the value."""
    error = refused(tmp_path, json.dumps(body))

    assert error.code is Code.INVALID_ARGUMENT
    assert "config.json" in error.message
    assert key in error.message
    assert value in error.message


@pytest.mark.parametrize("text", ["", "{", "accuracy_threshold: 0.9", "[" * 100_000, "\xff"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    """With the file's name."""
    error = refused(tmp_path, text)

    assert error.code is Code.INVALID_ARGUMENT
    assert "config.json is not JSON" in error.message


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two was meant cannot be told."""
    error = refused(tmp_path, '{"training_config": {"epochs": 5, "epochs": 50}}')

    assert "epochs is there twice: 5 and 50" in error.message


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    """Before anything is trained."""
    with pytest.raises(FairleadError) as caught:
        RetrainConfig.read(tmp_path / "none.json")

    assert caught.value.code is Code.NOT_FOUND
    assert refused(tmp_path, " " * (1 << 21)).code is Code.INVALID_ARGUMENT
