"""What is done to the digits: five kinds of trouble, each at four severities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "Pictures", "Variant"]

SEVERITIES = ("mild", "medium", "heavy", "strong")

Pictures = NDArray[np.float32]
"""float32 [n, 28, 28, 1] in 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which a corruption happens; a window has one of them.

    Attributes:
        apply: gives the corrupted pictures, at a severity in the corruption's unit.
        moves: the features that a report has to name for this, each with the sign of its effect.
    """

    apply: Callable[[Pictures, float], Pictures]
    moves: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One kind of trouble.

    Attributes:
        unit: what the severities count.
        levels: of the severities, in their order.
        variants: each window draws one.
        is_share: a severity is the share of the rows that are corrupted, not how much each is.
    """

    name: str
    unit: str
    levels: tuple[float, float, float, float]
    variants: tuple[Variant, ...]
    is_share: bool = False


def _shift(down: int, right: int) -> Callable[[Pictures, float], Pictures]:
    def apply(pictures: Pictures, pixels: float) -> Pictures:
        moved = np.zeros_like(pictures)
        size = pictures.shape[1]
        dy, dx = round(down * pixels), round(right * pixels)
        rows, columns = slice(max(0, dy), size + min(0, dy)), slice(max(0, dx), size + min(0, dx))
        from_rows, from_columns = slice(max(0, -dy), size + min(0, -dy)), slice(max(0, -dx), size + min(0, -dx))
        moved[:, rows, columns] = pictures[:, from_rows, from_columns]
        return moved

    return apply


def _rotate(sign: int) -> Callable[[Pictures, float], Pictures]:
    def apply(pictures: Pictures, degrees: float) -> Pictures:
        turned = ndimage.rotate(pictures, sign * degrees, axes=(2, 1), reshape=False, order=1)
        return np.asarray(turned, np.float32)

    return apply


def _blur(pictures: Pictures, sigma: float) -> Pictures:
    return np.asarray(ndimage.gaussian_filter(pictures, (0, sigma, sigma, 0)), np.float32)


def _noise(pictures: Pictures, sigma: float) -> Pictures:
    draws = np.random.default_rng(5).normal(0, sigma, pictures.shape)
    return np.clip(pictures + draws, 0, 1).astype(np.float32)


def _invert(pictures: Pictures, _: float) -> Pictures:
    return 1 - pictures


CORRUPTIONS = (
    Corruption(
        name="shift",
        unit="pixels, of 28, in one of four directions",
        levels=(1, 3, 4, 6),
        variants=(
            Variant(apply=_shift(0, 1), moves={"centre_x": 1}),
            Variant(apply=_shift(0, -1), moves={"centre_x": -1}),
            Variant(apply=_shift(1, 0), moves={"centre_y": 1}),
            Variant(apply=_shift(-1, 0), moves={"centre_y": -1}),
        ),
    ),
    Corruption(
        name="rotate",
        unit="degrees, to the left or to the right",
        levels=(10, 20, 30, 45),
        variants=(
            Variant(apply=_rotate(1), moves={"slant": -1}),
            Variant(apply=_rotate(-1), moves={"slant": 1}),
        ),
    ),
    Corruption(
        name="blur",
        unit="pixels, sigma of a Gaussian filter",
        levels=(0.5, 1, 1.5, 2),
        variants=(Variant(apply=_blur, moves={"edges": -1, "grain": -1}),),
    ),
    Corruption(
        name="noise",
        unit="standard deviation of what is added to each pixel, then cut to 0..1",
        levels=(0.1, 0.2, 0.3, 0.5),
        variants=(Variant(apply=_noise, moves={"border": 1, "grain": 1}),),
    ),
    Corruption(
        name="invert",
        unit="share of the pictures that are inverted",
        levels=(0.03, 0.2, 0.4, 1),
        variants=(Variant(apply=_invert, moves={"mean": 1, "border": 1}),),
        is_share=True,
    ),
)
