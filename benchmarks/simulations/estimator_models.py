"""Eight classifiers, what they say of rows they never saw, and of the same kind of rows after a change."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from benchmarks.simulations.picture_corruptions import CORRUPTIONS, Pictures
from benchmarks.simulations.picture_windows import Model
from fairlead.training.recipe import Sources, find_recipe

__all__ = ["Population", "populations"]

_DIGITS = 6000
_CENSUS = 12_000
_NUMBERS, _WORDS = (0, 2, 4, 10, 11, 12), (1, 3, 5, 6, 7, 8, 9)
_AGE, _SCHOOLING = 0, 2


@dataclass(frozen=True, kw_only=True)
class Population:
    """One model and its rows.

    Attributes:
        probabilities, labels: float64 [n, k] and int64 [n], of rows that the model never saw.
        changes: by name, the same two of rows after a change. Where there are n of them they are the same rows.
    """

    name: str
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    changes: Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64]]]

    def window(
        self, change: str | None, others: NDArray[np.int64], rows: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Rows drawn after a change, or plain ones; of the same rows only `others`."""
        probabilities, labels = (self.probabilities, self.labels) if change is None else self.changes[change]
        source = others if len(labels) == len(self.labels) else np.arange(len(labels))
        which = generator.choice(source, min(rows, len(source)), replace=False)
        return probabilities[which], labels[which]


def populations(store: Path, data: Path) -> Iterator[Population]:
    """All eight."""
    yield from _digits(store, data)
    yield from _census(data / "tabular" / "adult.data")
    yield _prices(data / "tabular" / "elec2.csv")


def _digits(store: Path, data: Path) -> Iterator[Population]:
    """The published network, and two models of the first 6,000 training images."""
    model = Model.newest(store, data)
    recipe: Any = find_recipe("digits")
    said: list[str] = []
    train = recipe.load(Sources(data_dir=data, cache_dir=store, say=said.append)).train.take(np.arange(_DIGITS))
    pictures, labels = model.held_out.inputs, model.held_out.labels
    changed = {
        f"{corruption.name} {level:g} {number}": variant.apply(pictures, level)
        for corruption in CORRUPTIONS
        if not corruption.is_share
        for level in corruption.levels[:2]
        for number, variant in enumerate(corruption.variants)
    }
    flat = train.inputs.reshape(_DIGITS, -1)
    line: Any = LogisticRegression(max_iter=40).fit(flat, train.labels)
    perceptron: Any = MLPClassifier((64,), max_iter=15, random_state=0).fit(flat, train.labels)
    answers: dict[str, Callable[[Pictures], NDArray[np.float64]]] = {
        "digits, published network": lambda rows: model.see(rows).probabilities.astype(np.float64),
        "digits, logistic regression": lambda rows: np.asarray(line.predict_proba(rows.reshape(len(rows), -1))),
        "digits, perceptron": lambda rows: np.asarray(perceptron.predict_proba(rows.reshape(len(rows), -1))),
    }
    for name, answer in answers.items():
        changes = {key: (answer(rows), labels) for key, rows in changed.items()}
        yield Population(name=name, probabilities=answer(pictures), labels=labels, changes=changes)


def _census(path: Path) -> Iterator[Population]:
    """Four kinds of model of who earns more than 50,000; people of other ages and schooling, and noisy columns."""
    people = [line.strip().split(", ") for line in path.read_text().splitlines() if line.count(",") == 14]  # noqa: PLR2004
    generator = np.random.default_rng(0)
    table = np.array([[*(float(row[i]) for i in _NUMBERS), *(_bucket(row[i]) for i in _WORDS)] for row in people])
    order = generator.permutation(len(people))
    rows, labels = table[order], np.array([int(">50" in row[14]) for row in people])[order]
    scaled = (rows - rows[:_CENSUS].mean(axis=0)) / rows[:_CENSUS].std(axis=0)
    held_out, truth = scaled[_CENSUS:], labels[_CENSUS:]
    ages, schooling = rows[_CENSUS:, _AGE], rows[_CENSUS:, _SCHOOLING]
    groups = {
        "young": ages < 30,  # noqa: PLR2004
        "middle": (ages >= 30) & (ages < 45),  # noqa: PLR2004
        "old": ages >= 45,  # noqa: PLR2004
        "long schooling": schooling >= 13,  # noqa: PLR2004
        "short schooling": schooling < 9,  # noqa: PLR2004
    }
    noised = {f"noise {sd}": held_out + generator.normal(0, sd, held_out.shape) for sd in (0.25, 0.5)}
    for name, learner in (
        ("census, logistic regression", LogisticRegression(max_iter=300)),
        ("census, naive Bayes", GaussianNB()),
        ("census, boosted trees", HistGradientBoostingClassifier(max_iter=60, random_state=0)),
        ("census, forest", RandomForestClassifier(60, random_state=0)),
    ):
        learner.fit(scaled[:_CENSUS], labels[:_CENSUS])
        changes = {key: (learner.predict_proba(held_out[is_in]), truth[is_in]) for key, is_in in groups.items()}
        changes |= {key: (learner.predict_proba(noisy), truth) for key, noisy in noised.items()}
        yield Population(name=name, probabilities=learner.predict_proba(held_out), labels=truth, changes=changes)


def _prices(path: Path) -> Population:
    """Boosted trees that learned from half a year of electricity prices, and the months that came after."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    rows, labels = table[:, :-1], table[:, -1].astype(np.int64)
    learner = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(
        rows[18_000:24_000], labels[18_000:24_000]
    )
    later = range(28_000, 45_000, 2_500)
    return Population(
        name="prices, boosted trees",
        probabilities=learner.predict_proba(rows[24_000:28_000]),
        labels=labels[24_000:28_000],
        changes={
            str(start): (learner.predict_proba(rows[start : start + 2_500]), labels[start : start + 2_500])
            for start in later
        },
    )


def _bucket(word: str) -> float:
    return float(zlib.crc32(word.encode()) % 50)
