"""How members' answers become one, row by row. Pure: what was said in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.graph.member import Said
from fairlead.servable.signature import Array

__all__ = ["average", "concatenate", "names_of", "vote"]


def average(said: Sequence[Said], weights: Sequence[float], name: str) -> Array:
    """The weighted mean of an output over those who spoke for each row; zeros where nobody did.

    Args:
        said: by each member; at least one gave outputs.
        weights: one a member.
        name: of the output.
    """
    like = next(one.outputs[name] for one in said if one.outputs)
    total = np.zeros(like.shape)  # of float64, in which the sum of any float32 is finite
    weight = np.zeros((len(like), *[1] * (like.ndim - 1)))
    for one, share in zip(said, weights, strict=True):
        if one.outputs:
            counts = (one.spoke * share).reshape(weight.shape)
            total += np.where(counts > 0, one.outputs[name], 0) * counts
            weight += counts
    return (total / np.where(weight > 0, weight, 1)).astype(like.dtype, copy=False)


def vote(said: Sequence[Said], weights: Sequence[float], name: str) -> Array:
    """Each class's share of the votes of those who spoke for each row, [rows, classes]; zeros where nobody did."""
    like = next(one.outputs[name] for one in said if one.outputs)
    shares = np.zeros(like.shape)
    rows = np.arange(len(like))
    for one, weight in zip(said, weights, strict=True):
        if one.outputs:
            shares[rows, one.outputs[name].argmax(axis=1)] += one.spoke * weight
    total = shares.sum(axis=1, keepdims=True)
    return (shares / np.where(total > 0, total, 1)).astype(like.dtype, copy=False)


def concatenate(said: Sequence[Said], dtype: np.dtype[np.generic]) -> Array:
    """The only output of each of them beside those of the others, [rows, numbers]; zeros where one is not finite."""
    parts = [np.where(one.spoke[:, np.newaxis], next(iter(one.outputs.values())), 0) for one in said]
    return np.concatenate(parts, axis=1).astype(dtype, copy=False)


def names_of(said: Sequence[Said]) -> Array:
    """For each row, who spoke, as `digits@1,digits@2`."""
    spoke: NDArray[np.bool_] = np.stack([one.spoke for one in said])
    names = [str(one.member) for one in said]
    if spoke.shape[1] == 1 or (spoke == spoke[:, :1]).all():  # nearly always
        told = ",".join(name for name, has in zip(names, spoke[:, 0].tolist(), strict=True) if has)
        return np.full(spoke.shape[1], told, object)
    rows = [",".join(name for name, has in zip(names, row, strict=True) if has) for row in spoke.T.tolist()]
    return np.array(rows, object)
