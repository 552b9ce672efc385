"""Features of a picture: how bright it is, where its ink lies, how sharp and how grainy it is.

They are made of two kinds of sums. One matrix product gives every sum that is linear in the pixels; the rest are
products of the picture with itself, moved by a pixel or a line, from which the energy of every small filter follows.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.signature import Array, Tensors, TensorSpec

__all__ = ["LEAST_SIDE", "MOST_SIDE", "PictureFeatures", "PictureLayout"]

LEAST_SIDE = 8
"""What has a smaller height or width than this is no picture."""

MOST_SIDE = 128
"""Of a picture with a larger height or width every second pixel is looked at, or every third, and so on."""

_MOST_VALUES = 32_768
"""How many are worked on at a time. They stay in the cache, and the product stays below the size at which OpenBLAS
wakes threads: for 256 rows of 28 x 28 those took twice as long, and they spin on cores that serve requests."""

_MOST_CHANNELS = 4
_DTYPES = ("float16", "float32", "float64", "uint8")
_INK = np.float32(0.5)
_NAMES = (
    "mean", "std", "ink", "border",
    "centre_x", "centre_y", "spread_x", "spread_y", "slant",
    "edges", "grain", "strokes",
)  # fmt: skip

# What the moved products become. Columns: the picture with itself, moved by a pixel, by two, by a line less a pixel, a
# line, a line and a pixel, two lines. Rows: the energy of first differences across and down; that of second ones; how
# much more alike neighbours on one diagonal are than on the other; and the most that this can be.
_FILTERS = np.array(
    [
        [4, -2, 0, 0, -2, 0, 0],
        [12, -8, 2, 0, -8, 0, 2],
        [0, 0, 0, 1, 0, -1, 0],
        [2, 0, 0, -1, 0, -1, 0],
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLayout:
    """How a row's pixels lie: lines of pixels of channels, or channels of lines of pixels.

    Attributes:
        is_channels_first: the channels are the first axis of a row, not the last.
    """

    is_channels_first: bool = False

    @staticmethod
    def of(spec: TensorSpec) -> PictureLayout | None:
        """The layout of the pictures that this tensor holds, or None when it holds none."""
        if spec.dtype not in _DTYPES or len(spec.shape) not in {3, 4}:
            return None
        is_plain = len(spec.shape) == 3  # noqa: PLR2004 - rank: lines of pixels of one value
        if _are_sides(spec.shape[1:3]) and (is_plain or _are_channels(spec.shape[3])):
            return PictureLayout()
        if not is_plain and _are_channels(spec.shape[1]) and _are_sides(spec.shape[2:]):
            return PictureLayout(is_channels_first=True)
        return None

    def thin(self, array: Array) -> tuple[Array, int, int, int]:
        """The pixels to be looked at, and their height, width and channels."""
        if array.ndim == 3:  # noqa: PLR2004 - rank
            array = array[..., np.newaxis]
        sides = array.shape[2:] if self.is_channels_first else array.shape[1:3]
        every = max(1, min(-(-max(sides) // MOST_SIDE), min(sides) // LEAST_SIDE))  # a narrow one stays a picture
        if self.is_channels_first:
            array = array[:, :, ::every, ::every]
            return array, array.shape[2], array.shape[3], array.shape[1]
        array = array[:, ::every, ::every]
        return array, array.shape[1], array.shape[2], array.shape[3]


class PictureFeatures:
    """Twelve numbers a picture.

        mean, std     of its values, over all channels
        ink           share of the values above one half
        border        mean of its outermost pixels: the ground
        centre_x, _y  where its ink lies on average, from -0.5 (left, top) to 0.5; ink is brightness above the darkest
        spread_x, _y  the standard deviation of that place, as a share of the width and of the height
        slant         how far right its ink goes for a step up, over the whole picture: above 0 when it leans like `/`
        edges         root mean square of the difference between neighbours, over `std`: blur lowers it, noise raises it
        grain         energy of second differences over that of first ones: about 3 for noise alone, near 0 when smooth
        strokes       how much more alike neighbours along `/` are than along a backslash, from -1 to 1

    The picture is rolled up for its neighbours: the last pixel of a line has the first of the next one beside it, and
    the last line the first one below it. That is cheaper than minding the borders, and moves all pictures' figures
    alike.

    Args:
        name: the input's.
        layout: how its pixels lie.
    """

    names = _NAMES

    def __init__(self, name: str, layout: PictureLayout) -> None:
        self._name = name
        self._layout = layout

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        array, height, width, channels = self._layout.thin(inputs[self._name])
        if min(height, width) < LEAST_SIDE or not channels:
            return np.full((len(array), len(_NAMES)), np.nan, np.float32)  # a free size that turned out too small
        plan = _plan(height, width, channels, self._layout.is_channels_first)
        with np.errstate(all="ignore"):
            return plan.measure(_brightness(array))


class _Plan:
    """What depends on the pictures' size alone."""

    def __init__(self, height: int, width: int, channels: int, *, is_channels_first: bool) -> None:
        self._pixels = height * width * channels
        self._moments = _moments(height, width, channels, is_channels_first=is_channels_first)
        step = 1 if is_channels_first else channels
        line = step * width
        self._step, self._line, self._most = step, line - step, 2 * line
        """The moves: three that begin at 0, three that begin at a line less a pixel, and two lines."""

    def measure(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.empty((len(_NAMES), len(flat)), np.float32)
        rows = max(1, _MOST_VALUES // self._pixels)
        for start in range(0, len(flat), rows):
            self._measure(flat[start : start + rows], found[:, start : start + rows])
        return found.T

    def _measure(self, flat: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        rolled = np.empty((len(flat), self._pixels + self._most), np.float32)
        ink = rolled[:, : self._pixels]
        darkest = np.minimum.reduce(flat, axis=1)
        np.subtract(flat, darkest[:, np.newaxis], out=ink)
        rolled[:, self._pixels :] = ink[:, : self._most]
        self._place(ink, found)
        self._texture(rolled, found)
        found[0] += darkest
        found[3] += darkest
        bright = np.bitwise_count(np.packbits(flat > _INK, axis=1)).sum(axis=1, dtype=np.float32)
        found[2] = (bright + 0 * darkest) / self._pixels  # NaN where the row has one

    def _place(self, ink: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        sums = self._moments @ ink.T
        found[0], found[3] = sums[0], sums[1]
        places = sums[2:] / sums[0]
        first = places[:2]
        found[4:6] = first
        variance = places[2:4] - first * first
        np.sqrt(variance, out=found[6:8])
        found[8] = (first[0] * first[1] - places[4]) / variance[1]

    def _texture(self, rolled: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        ink = rolled[:, : self._pixels]
        products = np.empty((7, len(rolled)), np.float32)
        np.vecdot(ink, self._moved(rolled, 0), out=products[:3])
        np.vecdot(ink, self._moved(rolled, self._line), out=products[3:6])
        np.vecdot(ink, rolled[:, self._most :], out=products[6])
        steps, bends, lean, diagonal = _FILTERS @ products
        variance = np.maximum(products[0] / self._pixels - found[0] * found[0], 0)
        np.sqrt(variance, out=found[1])
        found[9] = np.sqrt(steps / (2 * self._pixels * variance))
        found[10] = bends / steps
        found[11] = lean / diagonal

    def _moved(self, rolled: NDArray[np.float32], first: int) -> NDArray[np.float32]:
        """The pictures moved by `first`, and by one and two pixels more: three views of the same memory in one."""
        size = rolled.itemsize
        shape, strides = (3, len(rolled), self._pixels), (self._step * size, rolled.strides[0], size)
        return np.ndarray(shape, np.float32, rolled, first * size, strides)


@functools.lru_cache(maxsize=8)
def _plan(height: int, width: int, channels: int, is_channels_first: bool) -> _Plan:
    return _Plan(height, width, channels, is_channels_first=is_channels_first)


def _moments(height: int, width: int, channels: int, *, is_channels_first: bool) -> NDArray[np.float32]:
    """What a picture is multiplied with, [7, pixels]: for its mean, border, x, y, xx, yy and xy."""
    x = np.broadcast_to((np.arange(width) + 0.5) / width - 0.5, (height, width))
    y = np.broadcast_to(((np.arange(height) + 0.5) / height - 0.5)[:, np.newaxis], (height, width))
    border = np.ones((height, width))
    border[1:-1, 1:-1] = 0
    planes = np.stack([np.ones_like(x), border / border.mean(), x, y, x * x, y * y, x * y])
    axis = 1 if is_channels_first else 3
    spread = np.repeat(np.expand_dims(planes, axis), channels, axis).reshape(len(planes), -1)
    return np.asarray(spread / (planes[0].size * channels), np.float32)


def _are_sides(sides: tuple[int, ...]) -> bool:
    return all(side == -1 or side >= LEAST_SIDE for side in sides)


def _are_channels(count: int) -> bool:
    return 1 <= count <= _MOST_CHANNELS


def _brightness(array: Array) -> NDArray[np.float32]:
    """float32 [n, pixels]; bytes are brought to 0..1."""
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    return flat * np.float32(1 / 255) if flat.dtype == np.uint8 else flat.astype(np.float32, copy=False)
