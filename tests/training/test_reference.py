"""What reference.json says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairlead.errors import FairleadError
from fairlead.training.dataset import Rows
from fairlead.training.reference import describe

LABELS = ("no", "yes")


def example() -> tuple[Rows, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Four rows of two pixels, three of them predicted right."""
    inputs = np.array([[0, 0], [0, 1], [1, 1], [0, 1]], np.float32)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 1.0], [0.6, 0.4]], np.float32)
    return Rows(inputs=inputs, labels=np.array([0, 1, 1, 1])), probabilities


def test_reference_describes_inputs_outputs_and_quality() -> None:
    """The figures are those of the rows: means, shares, deciles and accuracy."""
    body = json.loads(describe(*example(), LABELS).encode())

    assert (body["schema_version"], body["rows"], body["accuracy"]) == (1, 4, 0.75)
    assert body["classes"] == {"no": 0.5, "yes": 0.5}
    assert (body["input"]["mean"], body["input"]["std"]) == (0.5, 0.5)
    assert body["input"]["deciles"]["ink"][0] == 0.0
    assert body["input"]["deciles"]["ink"][-1] == 1.0
    assert body["confidence"]["deciles"][0] == pytest.approx(0.6)


def test_every_list_has_its_promised_length() -> None:
    """Deciles are eleven numbers that never fall; the histogram is twenty shares that sum to one."""
    body = json.loads(describe(*example(), LABELS).encode())

    for deciles in [*body["input"]["deciles"].values(), body["confidence"]["deciles"]]:
        assert len(deciles) == 11
        assert deciles == sorted(deciles)
    assert len(body["confidence"]["histogram"]) == 20
    assert sum(body["confidence"]["histogram"]) == pytest.approx(1.0)


def test_reference_of_nothing_is_refused() -> None:
    """There is nothing to describe without rows, or with outputs of another number of classes."""
    rows, probabilities = example()
    with pytest.raises(FairleadError, match="0 rows"):
        describe(rows.take(np.array([], np.int64)), probabilities[:0], LABELS)
    with pytest.raises(FairleadError, match="3 labels"):
        describe(rows, probabilities, ("a", "b", "c"))
