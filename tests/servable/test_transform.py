"""Any picture of one glyph becomes the model's input, and whatever is no such picture is refused in words."""

import io
import struct
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image

from fairlead.errors import Code, FairleadError
from fairlead.servable.transform import MAX_PIXELS, Handwriting, transform_from_json

PEN = Handwriting()


def encode(picture: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    written = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(written, kind, **options)
    return written.getvalue()


def mnist(seed: int = 1) -> NDArray[np.uint8]:
    """A 28 x 28 picture as MNIST has them: light ink of many shades in the middle, a black border."""
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 8:20] = np.random.default_rng(seed).integers(0, 256, (20, 12))
    picture[10, 10] = 255
    return picture


def seven(width: int = 140, height: int = 200, pen: int = 14) -> NDArray[np.bool_]:
    """A large seven, off the middle: True is ink."""
    ink = np.zeros((height, width), np.bool_)
    ink[height // 5 : height // 5 + pen, width // 5 : width // 2] = True
    ink[height // 5 : 3 * height // 4, width // 2 - pen : width // 2] = True
    return ink


def paint(ink: NDArray[np.bool_], on: tuple[int, ...], off: tuple[int, ...]) -> NDArray[np.uint8]:
    """The glyph in one colour on another."""
    return np.where(ink[:, :, np.newaxis], np.array(on, np.uint8), np.array(off, np.uint8))


def apply(picture: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> NDArray[np.float32]:
    """The model's input for the picture, without its outer axes, having checked what holds for every input."""
    tensor = PEN.apply(encode(picture, kind, **options))
    assert tensor.shape == (1, 28, 28, 1)
    assert tensor.dtype == np.float32
    assert 0 <= tensor.min() < tensor.max() <= 1
    return tensor[0, :, :, 0]


def fault(data: bytes) -> str:
    """What is said against the bytes."""
    with pytest.raises(FairleadError) as caught:
        PEN.apply(data)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


SEVEN = apply(paint(seven(), (0, 0, 0), (255, 255, 255)))


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header_only(width: int, height: int) -> bytes:
    """A PNG file that promises a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


# -- pictures of the model's own size ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_made_like_mnist_stays_as_it_is(seed: int) -> None:
    """Light on black in 28 x 28 is the model's input already: each value over 255, to the last bit."""
    np.testing.assert_array_equal(apply(mnist(seed)), mnist(seed) / np.float32(255))


@pytest.mark.parametrize("seed", range(5))
def test_dark_on_light_is_the_same_picture(seed: int) -> None:
    """The inverted picture gives exactly the same input."""
    np.testing.assert_array_equal(apply(255 - mnist(seed)), apply(mnist(seed)))


def test_faint_ink_is_brought_to_full_strength() -> None:
    """A pencil's grey is as good as black."""
    np.testing.assert_allclose(apply(mnist() // 5 * 4), apply(mnist()), atol=0.02)


# -- pictures of any kind ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ((255, 255, 255), (0, 0, 0)),
        ((255, 0, 0), (0, 0, 255)),
        ((0, 0, 0), (255, 255, 0)),
        ((0, 120, 0), (255, 250, 240)),
        ((90, 90, 90), (60, 60, 60)),
        ((200, 30, 30), (200, 230, 30)),
    ],
)
def test_colours_do_not_matter(on: tuple[int, ...], off: tuple[int, ...]) -> None:
    """Ink is what differs from the border, whichever of the two is darker."""
    np.testing.assert_allclose(apply(paint(seven(), on, off)), SEVEN, atol=0.01)


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (20, 30, 90), (255, 240, 0)])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255)])
def test_a_transparent_ground_is_no_colour(ink: tuple[int, ...], hidden: tuple[int, ...]) -> None:
    """Dark and light ink show on it, whatever colour lies hidden under the transparency."""
    np.testing.assert_allclose(apply(paint(seven(), (*ink, 255), (*hidden, 0))), SEVEN, atol=0.01)


def kinds() -> Mapping[str, bytes]:
    """The black seven on white in each kind of file."""
    grey = np.where(seven(), 0, 255).astype(np.uint8)
    palette = Image.fromarray(np.where(seven(), 1, 0).astype(np.uint8))
    palette.putpalette([250, 250, 200, 10, 0, 120])
    clear = palette.copy()
    alpha = np.where(seven(), 255, 0).astype(np.uint8)
    return {
        "grey": encode(grey),
        "16 bits": encode(np.where(seven(), 0, 65535).astype(np.uint16)),
        "16 bits, light": encode(np.where(seven(), 65535, 0).astype(np.uint16)),
        "1 bit": encode(Image.fromarray(grey).convert("1")),
        "palette": encode(palette),
        "palette with a clear colour": encode(clear, transparency=0),
        "palette with alphas": encode(clear, transparency=bytes([0, 255])),
        "grey with a clear shade": encode(grey, transparency=255),
        "grey with alpha": encode(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])),
        "optimised": encode(Image.fromarray(grey).convert("RGB"), optimize=True),
        "JPEG": encode(grey, "JPEG", quality=90),
        "JPEG in colour": encode(paint(seven(), (200, 0, 0), (240, 240, 255)), "JPEG", quality=90),
        "progressive JPEG": encode(grey, "JPEG", quality=90, progressive=True),
        "JPEG in CMYK": encode(Image.fromarray(grey).convert("CMYK"), "JPEG", quality=90),
        "JPEG after junk": encode(grey, "JPEG", quality=90) + b"junk",
    }


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_png_and_jpeg_is_read(kind: str) -> None:
    """Depth, palette, transparency and compression change the glyph by less than its edges' blur."""
    tensor = PEN.apply(kinds()[kind])[0, :, :, 0]

    np.testing.assert_allclose(tensor, SEVEN, atol=0.15)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
        (0, None),
        (9, None),
    ],
)
def test_a_turned_photograph_is_set_upright(kind: str, orientation: int, turn: Image.Transpose | None) -> None:
    """A telephone held sideways notes how in EXIF; a note that means nothing is passed over."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    lying = Image.fromarray(paint(seven(), (0, 0, 0), (255, 255, 255)))
    lying = lying if turn is None else lying.transpose(turn)

    np.testing.assert_allclose(apply(lying, kind, exif=exif), SEVEN, atol=0.15)


def test_odd_exif_does_not_stop_a_good_picture() -> None:
    """Only the orientation is read: another tag of a wrong type is nobody's concern."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.XResolution] = 72.5
    odd = exif.tobytes().replace(b"\x01\x1a\x00\x05", b"\x01\x31\x00\x05")  # the software's name, a fraction
    lying = Image.fromarray(np.where(seven(), 0, 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)

    assert odd != exif.tobytes()
    np.testing.assert_allclose(apply(lying, "JPEG", exif=odd), SEVEN, atol=0.15)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("width", "height"), [(3000, 2000), (500, 500), (30, 40), (29, 28), (12, 9)])
def test_size_does_not_matter(width: int, height: int, kind: str) -> None:
    """From a dozen pixels to six million, the glyph fills its box and stands in the middle."""
    ink = np.zeros((height, width), np.bool_)
    ink[height // 3 : -(height // 3), width // 3 : -(width // 3)] = True
    tensor = apply(np.where(ink, 0, 255).astype(np.uint8), kind)
    rows, columns = np.flatnonzero((tensor > 0.5).any(axis=1)), np.flatnonzero((tensor > 0.5).any(axis=0))

    assert 18 <= max(len(rows), len(columns)) <= 20
    assert abs(rows.mean() - 13.5) <= 1
    assert abs(columns.mean() - 13.5) <= 1


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (1, 12_000_000), (12_000_000, 1)])
def test_a_line_of_pixels_is_a_picture(shape: tuple[int, int]) -> None:
    """A stripe one pixel high or wide is scaled like any glyph."""
    stripe = np.full(max(shape), 255, np.uint8)
    stripe[max(shape) // 5 : max(shape) // 3] = 0

    assert apply(stripe.reshape(shape)).sum() > 5


def test_one_pixel_is_blank() -> None:
    """Nothing can stand out from a border that is all there is."""
    assert fault(encode(np.zeros((1, 1), np.uint8))) == "the picture is blank: nothing stands out from its border"


@given(
    width=st.integers(29, 300),
    height=st.integers(29, 300),
    boxes=st.lists(st.tuples(*[st.floats(0.05, 0.9)] * 4), min_size=1, max_size=4),
)
@settings(deadline=None)
def test_the_centre_of_mass_lands_in_the_middle(
    width: int, height: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    """Wherever the ink lay: within half a pixel, as far as all of it stays inside."""
    ink = np.zeros((height, width), np.uint8)
    for top, left, down, across in boxes:
        y, x = 1 + int(top * (height - 3)), 1 + int(left * (width - 3))
        ink[y : min(height - 1, y + 1 + int(down * height)), x : min(width - 1, x + 1 + int(across * width))] = 255
    tensor = apply(ink)
    for axis in (0, 1):
        profile = tensor.sum(axis=1 - axis)
        middle = float((profile * (np.arange(28) + 0.5)).sum() / profile.sum())
        touches_edge = profile[0] > 0 or profile[-1] > 0
        assert abs(middle - 14) <= 0.51 or touches_edge


def test_the_glyph_fills_the_box_and_no_more() -> None:
    """The longer side is 20 pixels, and its strongest ink is 1."""
    rows = np.flatnonzero((SEVEN > 0).any(axis=1))

    assert rows[-1] - rows[0] + 1 == 20
    assert SEVEN.max() == 1.0


def test_other_sizes_of_input() -> None:
    """A model may take 8 x 8 with a box of 6."""
    tensor = Handwriting(size=8, box=6).apply(encode(paint(seven(), (0, 0, 0), (255, 255, 255))))

    assert tensor.shape == (1, 8, 8, 1)
    assert tensor.max() == 1.0


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("side", [28, 100])
def test_a_blank_picture_is_refused(shade: int, side: int) -> None:
    """So is one whose noise is no ink."""
    noise = np.random.default_rng(1).integers(-8, 8, (side, side))

    assert "blank" in fault(encode(np.full((side, side), shade, np.uint8)))
    assert "blank" in fault(encode((np.full((side, side), shade) + noise).clip(0, 255).astype(np.uint8)))


def test_a_wholly_transparent_picture_is_blank() -> None:
    """Whatever colours lie under it."""
    assert "blank" in fault(encode(paint(seven(), (0, 0, 0, 0), (255, 0, 0, 0))))


def test_no_bytes_are_no_picture() -> None:
    """It is said plainly."""
    assert fault(b"") == "the picture is empty: 0 bytes"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"this is text, called seven.png", "b'this is '"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "b'<svg xml'"),
        (b"\x89PNG\r\n\x1a\n", r"b'\x89PNG\r\n\x1a\n'"),
        (encode(mnist(), "GIF"), "b'GIF87a"),
        (encode(mnist(), "BMP"), "b'BM"),
        (encode(mnist(), "TIFF"), "b'II*"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "b'%!PS-Ado'"),
    ],
)
def test_other_files_are_refused(data: bytes, shown: str) -> None:
    """Only PNG and JPEG are tried, whatever Pillow could read; the first bytes are shown."""
    assert fault(data).startswith(f"the picture is neither PNG nor JPEG: it begins with {shown}")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.95])
def test_a_torn_file_is_refused(kind: str, share: float) -> None:
    """Half a picture is not guessed at."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8)
    whole = encode(noise, kind)

    assert fault(whole[: int(len(whole) * share)]).startswith("the picture is damaged: ")


def test_a_flipped_byte_in_a_png_is_refused() -> None:
    """Its checksums are looked at."""
    damaged = bytearray(encode(mnist()))
    damaged[damaged.index(b"IDAT") + 20] ^= 1

    assert fault(bytes(damaged)).startswith("the picture is damaged: ")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (5001, 2500), (2**31 - 1, 2**31 - 1), (12_500_001, 1)])
def test_a_huge_picture_is_refused_by_its_header(width: int, height: int) -> None:
    """No pixel of it is decoded, so it costs no memory and no time."""
    began = time.thread_time()
    message = fault(header_only(width, height))

    assert message == f"the picture has {width} x {height} pixels; at most 12,500,000 are decoded"
    assert time.thread_time() - began < 2


def test_the_largest_picture_is_read_in_little_memory(tmp_path: Path) -> None:
    """A hundred kilobytes on the wire do not become a gigabyte: the arrays are made of a smaller copy."""
    ink = Image.new("RGBA", (5000, 2500), (255, 255, 255, 0))
    ink.paste((0, 0, 0, 255), (1000, 500, 2000, 2000))
    data = encode(ink)
    del ink
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        clear.write_text("5")  # sets the peak back to what is resident now
    except OSError:
        pytest.skip("this kernel keeps the peak")
    before = int(status.read_text().partition("VmHWM:")[2].split()[0])
    tensor = PEN.apply(data)
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0])

    assert MAX_PIXELS == 5000 * 2500
    assert tensor.max() == 1.0
    assert peak - before < 150 * 1024


@pytest.mark.parametrize(("width", "height"), [(0, 28), (28, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(width: int, height: int) -> None:
    """A size of zero is no size."""
    assert fault(header_only(width, height)).startswith("the picture is neither PNG nor JPEG")


def test_the_first_frame_of_an_animation_is_the_picture() -> None:
    """An animated PNG is also a plain one, and that is the picture everybody sees."""
    frames = [Image.fromarray(mnist(seed)) for seed in (1, 2, 3)]

    np.testing.assert_array_equal(apply(frames[0], save_all=True, append_images=frames[1:]), mnist(1) / np.float32(255))


def test_an_animated_gif_is_refused() -> None:
    """GIF is not read, moving or still."""
    frames = [Image.fromarray(mnist(seed)) for seed in (1, 2)]

    assert "neither PNG nor JPEG" in fault(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))


def answers_or_refuses(data: bytes) -> None:
    """Nothing but an input or INVALID_ARGUMENT comes of the bytes."""
    try:
        tensor = PEN.apply(data)
    except FairleadError as error:
        assert error.code is Code.INVALID_ARGUMENT  # noqa: PT017 - not all damage is refused
    else:
        assert np.isfinite(tensor).all()


@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff")
@example(b"\xff\xd8\xff\xe0\x00\x00")
@example(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
def test_random_bytes_are_refused_in_words(data: bytes) -> None:
    """As they are, and after the first bytes of a PNG and of a JPEG."""
    answers_or_refuses(data)
    answers_or_refuses(b"\x89PNG\r\n\x1a\n" + data)
    answers_or_refuses(b"\xff\xd8\xff" + data)


def photographs() -> list[bytes]:
    """Small files with all that Pillow reads beside the pixels."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageDescription] = "a description"
    exif[ExifTags.Base.XResolution] = 72.5
    picture = Image.fromarray(mnist()[:, :20])
    return [
        encode(picture, "JPEG", exif=exif),
        encode(picture, "PNG", exif=exif, dpi=(72, 72)),
        encode(picture.convert("P"), "PNG", transparency=bytes(range(100))),
        encode(picture.convert("CMYK"), "JPEG"),
        encode(picture, "PNG", save_all=True, append_images=[Image.fromarray(mnist(2)[:, :20])]),
    ]


PHOTOGRAPHS = photographs()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of damaged EXIF and goes on
@given(st.sampled_from(PHOTOGRAPHS), st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_files_are_read_or_refused_in_words(whole: bytes, data: st.DataObject) -> None:
    """A few changed bytes, checksums made good again so that the damage is met further in."""
    damaged = bytearray(whole)
    reach = st.integers(0, min(len(whole), 400) - 1) | st.integers(0, len(whole) - 1)
    for position in data.draw(st.lists(reach, min_size=1, max_size=6)):
        damaged[position] = data.draw(st.integers(0, 255))
    answers_or_refuses(bytes(damaged))
    answers_or_refuses(with_good_checksums(bytes(damaged)))


def with_good_checksums(png: bytes) -> bytes:
    """The PNG file with each chunk's checksum computed anew; other files as they are."""
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        return png
    mended, position = png[:8], 8
    while position + 12 <= len(png):
        length = int.from_bytes(png[position : position + 4])
        if position + 12 + length > len(png):
            break
        mended += chunk(png[position + 4 : position + 8], png[position + 8 : position + 8 + length])
        position += 12 + length
    return mended + png[position:]


# -- the manifest's word for it ------------------------------------------------------------------------------------


def test_a_transform_comes_back_from_the_manifest() -> None:
    """With its figures; no transform is none."""
    assert PEN.to_json() == {"name": "handwriting-1", "size": 28, "box": 20}
    assert transform_from_json(Handwriting(size=8, box=6).to_json()) == Handwriting(size=8, box=6)
    assert transform_from_json({}) is None


@pytest.mark.parametrize("named", [{"name": "handwriting-2", "size": 28, "box": 20}, {"name": None}, {"size": 28}])
def test_an_unknown_transform_is_refused(named: Mapping[str, Any]) -> None:
    """A newer Fairlead may have made it: the hint says what to do."""
    with pytest.raises(FairleadError, match="which this Fairlead does not know") as caught:
        transform_from_json(named)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.hint == "pip install --upgrade fairlead"


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"size": 28},
        {"size": None, "box": 20},
        {"size": "large", "box": 20},
        {"size": float("inf"), "box": 20},
        {"size": 28, "box": 29},
        {"size": 28, "box": 0},
        {"size": 0, "box": 0},
    ],
)
def test_a_transform_that_cannot_work_is_refused(figures: Mapping[str, Any]) -> None:
    """When the version is read, not at the first picture."""
    with pytest.raises(FairleadError) as caught:
        transform_from_json({"name": "handwriting-1", **figures})

    assert caught.value.code is Code.FAILED_PRECONDITION
