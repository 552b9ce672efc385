"""Which features a model's rows have, told from its signature alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.features.columns import ColumnFeatures, SummaryFeatures, row_values
from fairlead.servable.features.pictures import PictureFeatures, PictureLayout
from fairlead.servable.features.texts import TextFeatures
from fairlead.servable.signature import Signature, Tensors, TensorSpec

__all__ = ["MAX_COLUMNS", "FeatureExtractor", "Features"]

MAX_COLUMNS = 256
"""A row of more values than this is summed up; up to it each value is a feature."""


class Features(Protocol):
    """One kind of features."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of `measure`'s columns."""

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        """float32 [n, len(names)]; never raises for what the values are."""


class FeatureExtractor:
    """Measures the rows of one model. Holds no state that a call changes, so that threads may share it.

    Attributes:
        names: of the features.
        categories: what the numbers of a feature stand for, from 0, of those that are categories.

    >>> from fairlead.servable.signature import Signature, TensorSpec
    >>> text = TensorSpec(name="text", dtype="string", shape=(-1,))
    >>> label = TensorSpec(name="spam", dtype="float32", shape=(-1, 2))
    >>> extractor = FeatureExtractor.of(Signature(inputs=(text,), outputs=(label,)))
    >>> extractor.names
    ('length', 'words', 'digits', 'upper_case', 'punctuation', 'non_ascii')
    >>> (row,) = extractor.measure({"text": np.array(["Call 0800 NOW!"], object)})
    >>> [round(float(value), 2) for value in row]
    [14.0, 3.0, 0.29, 0.29, 0.07, 0.0]
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self.names = features.names
        self.categories: Mapping[str, tuple[str, ...]] = (
            features.categories if isinstance(features, ColumnFeatures) else {}
        )

    @staticmethod
    def of(signature: Signature, vocabulary: frozenset[int] = frozenset()) -> FeatureExtractor | None:
        """The extractor for a model of this signature, or None when its rows have no features that are known here.

        One input that is a picture (a float or uint8 tensor of rank 3 or 4 whose height and width are 8 or more) has
        picture features; one string a row has those of a text; other numbers are features one by one while a row has
        256 of them at most, and are summed up beyond that. Several inputs are features one by one.

        Args:
            signature: the model's; the same one always gives the same features.
            vocabulary: what `texts.vocabulary_of` gave for the training texts; with it a text has `new_words` too.
        """
        chosen = _one(signature.inputs[0], vocabulary) if len(signature.inputs) == 1 else _several(signature.inputs)
        return None if chosen is None else FeatureExtractor(chosen)

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        """The features of each row.

        Args:
            inputs: tensors that the signature admits, all of one batch of n rows.

        Returns:
            float32 [n, len(names)]. NaN where a row has no such number: it holds a NaN itself, or it is a picture of
            one shade, which has no centre. Odd values never raise.
        """
        return self._features.measure(inputs)


def _one(spec: TensorSpec, vocabulary: frozenset[int]) -> Features | None:
    if spec.is_unranked or not spec.shape:
        return None
    values = row_values(spec)
    if spec.dtype == "string":
        if spec.column is not None and spec.column.categories:
            return ColumnFeatures((spec,))
        return TextFeatures(spec.name, vocabulary) if values == 1 else None
    layout = PictureLayout.of(spec)
    if layout is not None:
        return PictureFeatures(spec.name, layout)
    if values is None or values > MAX_COLUMNS:
        return SummaryFeatures(spec.name)
    return ColumnFeatures((spec,))


def _several(specs: tuple[TensorSpec, ...]) -> Features | None:
    values = [row_values(spec) for spec in specs]
    if any(spec.is_unranked or not spec.shape for spec in specs) or None in values:
        return None
    if sum(count or 0 for count in values) > MAX_COLUMNS:
        return None
    return ColumnFeatures(specs)
