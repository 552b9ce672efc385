"""How a raw picture becomes a model's input tensor. Named in the manifest, so it is versioned with the model."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from fairlead.errors import Code, FairleadError

__all__ = ["MAX_PIXELS", "Handwriting", "PictureTransform", "transform_from_json"]

MAX_PIXELS = 12_500_000
"""The largest picture that is decoded, a 12-megapixel photograph: larger ones are refused by their header alone.

Decoding one takes about 100 MB for a moment, which a machine of 256 MB can spare."""

# Pillow's own guard warns and then raises by size as well; ours is stricter and comes before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright, by its EXIF orientation. `ImageOps.exif_transpose` fails on EXIF with odd other tags."""

_INK_FLOOR = 0.2  # below this share of the darkest ink a pixel is paper: JPEG noise and antialiasing stay below it
_MIDDLE = 127
_BLANK = 16  # a picture whose ink is nowhere further than this (of 255) from its ground is blank


class PictureTransform(Protocol):
    """Makes one input row from the bytes of a picture file."""

    def apply(self, data: bytes) -> NDArray[np.float32]:
        """The input of one row, with its batch axis, from a PNG or JPEG file.

        Raises:
            FairleadError: INVALID_ARGUMENT, saying what is wrong with the picture.
        """

    def to_json(self) -> dict[str, Any]:
        """What the manifest keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handwriting:
    """One glyph of any size, colour and polarity, brought to the geometry of MNIST.

    The ground is the median colour of the border and ink is the distance from it, so dark on light, light on dark
    and red on blue are one case. The ink is cut out, scaled into a box and set with its centre of mass in the middle,
    as LeCun, Cortes and Burges made MNIST. A picture that already has the model's size is taken to be made that way.

    Attributes:
        size: width and height of the model's input, in pixels.
        box: the side of the square that the ink is scaled into.
    """

    name: ClassVar[str] = "handwriting-1"
    size: int = 28
    box: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.box <= self.size:
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"a box of {self.box} pixels does not fit a picture of {self.size}"
            )

    def apply(self, data: bytes) -> NDArray[np.float32]:
        """A float32 tensor [1, size, size, 1] in 0..1: 1 is ink."""
        return self.fit(_ink(_decode(data, draft=4 * self.size)))[np.newaxis, :, :, np.newaxis]

    def fit(self, ink: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring `ink` [height, width] of any scale to [size, size] in 0..1.

        Raises:
            FairleadError: INVALID_ARGUMENT when there is no ink.
        """
        strongest = float(ink.max(initial=0.0))
        if strongest <= 0:
            raise FairleadError(Code.INVALID_ARGUMENT, "the picture is blank: nothing stands out from its border")
        if ink.shape == (self.size, self.size):
            return (ink / strongest).astype(np.float32)
        rows = np.flatnonzero((ink > _INK_FLOOR * strongest).any(axis=1))
        columns = np.flatnonzero((ink > _INK_FLOOR * strongest).any(axis=0))
        glyph = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return self._centre(self._shrink(glyph))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "box": self.box}

    def _shrink(self, glyph: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale the glyph so that its longer side is the box's, and its strongest ink is 1 again."""
        height, width = glyph.shape
        scale = self.box / max(height, width)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(Image.fromarray(glyph).resize(target, Image.Resampling.LANCZOS))
        small = small.clip(0, glyph.max())  # the filter overshoots at edges
        return np.asarray(small / small.max(), np.float32)

    def _centre(self, glyph: NDArray[np.float32]) -> NDArray[np.float32]:
        """Set the glyph in an empty tensor with its centre of mass in the middle, as far as it stays inside."""
        height, width = glyph.shape
        mass = glyph.sum()
        middle = self.size / 2
        top = round(middle - float((glyph.sum(axis=1) * (np.arange(height) + 0.5)).sum() / mass))
        left = round(middle - float((glyph.sum(axis=0) * (np.arange(width) + 0.5)).sum() / mass))
        top, left = min(max(top, 0), self.size - height), min(max(left, 0), self.size - width)
        canvas = np.zeros((self.size, self.size), np.float32)
        canvas[top : top + height, left : left + width] = glyph
        return canvas


def transform_from_json(data: Mapping[str, Any]) -> PictureTransform | None:
    """The transform that a manifest names; None when it names none.

    Raises:
        FairleadError: FAILED_PRECONDITION when this Fairlead does not know it.
    """
    if not data:
        return None
    if data.get("name") == Handwriting.name:
        try:
            return Handwriting(size=int(data["size"]), box=int(data["box"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"the manifest's transform cannot be made from {dict(data)}: {error!r}"
            ) from error
    raise FairleadError(
        Code.FAILED_PRECONDITION,
        f"the manifest names the transform {data.get('name')!r}, which this Fairlead does not know",
        hint="pip install --upgrade fairlead",
    )


def _decode(data: bytes, draft: int) -> Image.Image:
    """The picture in `data`, checked for its size before a pixel is decoded, upright, in RGB or RGBA.

    Of a large one no more is kept than 8 * `draft` pixels a side: the arrays made of it would fill a small machine.
    """
    if not data:
        raise FairleadError(Code.INVALID_ARGUMENT, "the picture is empty: 0 bytes")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        _check_size(picture.size)
        picture.draft("RGB", (draft, draft))  # a JPEG is decoded at the smallest scale that still has these pixels
        picture.load()
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
        small = _eight_bits(picture).reduce(max(1, max(picture.size) // (4 * draft)))
        return small if turn is None else small.transpose(turn)
    except (FairleadError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the picture is neither PNG nor JPEG: it begins with {data[:8]!r}"
        ) from error
    except Exception as error:  # Pillow raises many kinds for damaged files, `struct.error` and TypeError among them
        raise FairleadError(Code.INVALID_ARGUMENT, f"the picture is damaged: {error}") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The picture in RGB or RGBA, the same object when it is already."""
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the picture has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded",
            hint="send it smaller: the model sees a few hundred pixels of it",
        )


def _ink(picture: Image.Image) -> NDArray[np.float32]:
    """How far each pixel is from the ground, 0..255; zeros for a blank picture."""
    pixels = np.asarray(picture).astype(np.float32)
    if picture.mode == "RGBA":
        pixels = _on_contrasting_ground(pixels)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.abs(pixels - np.median(border, axis=0)).max(axis=2)
    return distance if distance.max() > _BLANK else np.zeros_like(distance)


def _on_contrasting_ground(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay a transparent picture on white when its ink is dark and on black when its ink is light."""
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:] / 255
    weight = float(alpha.sum())
    is_light = weight > 0 and float((colour * alpha).sum()) / (3 * weight) > _MIDDLE
    ground = 0.0 if is_light else 255.0
    return np.asarray(colour * alpha + ground * (1 - alpha), np.float32)
