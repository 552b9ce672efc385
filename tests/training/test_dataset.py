"""Rows, data sets, and the digests that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.training.dataset import Dataset, Rows, Split, class_counts, data_digest, overlap, row_digests


def rows(count: int, *, first: int = 0) -> Rows:
    """`count` distinct rows, starting with number `first`."""
    numbers = np.arange(first, first + count)
    inputs = np.repeat(numbers, 4).reshape(count, 2, 2).astype(np.float32)
    return Rows(inputs=inputs, labels=(numbers % 3).astype(np.int64))


def test_rows_need_a_label_each() -> None:
    """Inputs and labels of different lengths are refused, with both shapes."""
    with pytest.raises(FairleadError, match=r"\[2, 2, 2\].*\[3\]") as caught:
        Rows(inputs=rows(2).inputs, labels=rows(3).labels)

    assert caught.value.code == Code.INVALID_ARGUMENT


def test_rows_need_labels_in_one_dimension() -> None:
    """One-hot labels are refused."""
    with pytest.raises(FairleadError, match=r"\[2, 3\]"):
        Rows(inputs=rows(2).inputs, labels=np.zeros((2, 3), np.int64))


def test_rows_have_one_dtype() -> None:
    """Inputs that are not float32 are refused: a digest would differ for equal pictures."""
    with pytest.raises(FairleadError, match="float64"):
        Rows(inputs=np.zeros((2, 4)), labels=np.zeros(2, np.int64))


def test_rows_may_be_texts_or_named_columns() -> None:
    """Both are taken, joined and told apart by digests as pictures are; two texts never run into one another."""
    labels = np.array([0, 1, 0], np.int64)
    texts = Rows(inputs=np.array(["a", "é", "a"], object), labels=labels)
    table = Rows(
        inputs={"age": np.array([[1.0], [2.0], [1.0]]), "job": np.array([["x"], ["y"], ["x"]], object)}, labels=labels
    )

    for both in (texts, table):
        first, second, third = row_digests(both)
        assert (first == third, first == second) == (True, False)
        again = both.take(labels == 0).joined(both.take(labels == 1))
        assert row_digests(again) == (first, third, second)
    pairs = np.array([["ab", "c"], ["a", "bc"]], object)
    assert len(set(row_digests(Rows(inputs=pairs, labels=np.zeros(2, np.int64))))) == 2


@pytest.mark.parametrize("odd", [b"bytes", 1.0, None])
def test_texts_are_str(odd: object) -> None:
    """What only looks like a text to some library would be another one to the next."""
    with pytest.raises(FairleadError, match=type(odd).__name__):
        Rows(inputs=np.array(["a", odd], object), labels=np.zeros(2, np.int64))


def test_rows_name_the_inputs_of_the_model() -> None:
    """An array is the only input; columns are inputs by name, and others than the model's are refused by name."""
    probs = TensorSpec(name="probs", dtype="float32", shape=(-1, 2))
    one = Signature(inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, 2, 2)),), outputs=(probs,))
    named = Rows(inputs={"y": np.zeros((2, 1), np.int64)}, labels=np.zeros(2, np.int64))

    assert list(rows(2).tensors(one)) == ["x"]
    with pytest.raises(FairleadError, match=r"\['y'\].*\['x'\]"):
        named.tensors(one)


def test_no_rows_are_legal() -> None:
    """An empty data set is a value like any other: a gate refuses it, not the loader."""
    empty = rows(0)

    assert len(empty) == 0
    assert class_counts(empty, 3) == (0, 0, 0)
    assert row_digests(empty) == ()


def test_digest_of_a_row_is_its_bytes_alone() -> None:
    """Equal inputs have equal digests of 16 bytes, wherever they stand and whatever their label is."""
    one, other = rows(3), Rows(inputs=rows(3).inputs[::-1], labels=np.zeros(3, np.int64))

    assert row_digests(one) == row_digests(other)[::-1]
    assert {len(digest) for digest in row_digests(one)} == {16}
    assert len(set(row_digests(one))) == 3


@pytest.mark.parametrize("leak", ["train", "validation"])
def test_overlap_counts_held_out_rows_seen_in_training(leak: str) -> None:
    """A held-out row that training or validation has too is counted, each time that it is held out."""
    parts = {"train": rows(5), "validation": rows(2, first=10)}
    leaked = {"train": 3, "validation": 11}[leak]
    held_out = rows(4, first=20).take(np.array([0, 1, 2, 3]))
    twice = np.concatenate([held_out.inputs, np.full((2, 2, 2), leaked, np.float32)])
    split = Split(**parts, held_out=Rows(inputs=twice, labels=np.zeros(6, np.int64)))

    assert overlap(split) == 2


def test_overlap_of_separate_rows_is_nothing() -> None:
    """Parts without a common input have no overlap."""
    assert overlap(Split(train=rows(5), validation=rows(2, first=10), held_out=rows(4, first=20))) == 0


def test_data_digest_follows_every_part() -> None:
    """The digest of a data set changes with an input, a label, or a row moved to the held-out part."""

    def digest(train: Rows, held_out: Rows) -> str:
        return data_digest(Dataset(train=train, held_out=held_out, source="made up"))

    relabelled = Rows(inputs=rows(4).inputs, labels=rows(4, first=1).labels)
    digests = [
        digest(rows(4), rows(2, first=9)),
        digest(rows(4), rows(2, first=8)),
        digest(relabelled, rows(2, first=9)),
        digest(rows(6), rows(0)),
        digest(rows(0), rows(6)),
    ]

    assert len(set(digests)) == 5
    assert digest(rows(4), rows(2, first=9)) == digests[0]


def test_class_counts_name_a_label_that_is_no_class() -> None:
    """A label outside the recipe's classes is an error, not a longer list."""
    assert class_counts(rows(7), 4) == (3, 2, 2, 0)
    with pytest.raises(FairleadError, match="0 to 1"):
        class_counts(rows(7), 2)
