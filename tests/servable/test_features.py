"""What is measured of input rows."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.servable.column import Column
from fairlead.servable.features import FeatureExtractor
from fairlead.servable.features import extractor as extractor_module
from fairlead.servable.features.texts import vocabulary_of
from fairlead.servable.signature import Array, Signature, TensorSpec

OUTPUT = TensorSpec(name="probs", dtype="float32", shape=(-1, 2))


def extractor(*specs: TensorSpec, vocabulary: frozenset[int] = frozenset()) -> FeatureExtractor:
    """The extractor for a model of these inputs."""
    found = FeatureExtractor.of(Signature(inputs=specs, outputs=(OUTPUT,)), vocabulary)
    assert found is not None
    return found


def tensor(*shape: int, dtype: str = "float32", name: str = "in") -> TensorSpec:
    """An input of this row shape."""
    return TensorSpec(name=name, dtype=dtype, shape=(-1, *shape))


def measure(spec: TensorSpec, array: Array) -> dict[str, NDArray[np.float32]]:
    """Each feature's column."""
    found = extractor(spec)
    return dict(zip(found.names, found.measure({spec.name: array}).T, strict=True))


def digit(height: int = 28, width: int = 28) -> NDArray[np.float32]:
    """A slanted stroke on a dark ground, with soft edges: float32 [height, width]."""
    y, x = np.mgrid[:height, :width]
    across = (x - width / 2) + 0.5 * (y - height / 2)
    along = y - height / 2
    ink = np.exp(-((across / 2.0) ** 2)) * (np.abs(along) < height / 4)
    return np.asarray(ink, np.float32)


def slowly(picture: NDArray[np.float32]) -> dict[str, float]:
    """The features by their definitions, in float64: picture [h, w]."""
    p = picture.astype(np.float64)
    height, width = p.shape
    x, y = (np.arange(width) + 0.5) / width - 0.5, (np.arange(height) + 0.5) / height - 0.5
    ink = p - p.min()
    mass = ink.sum()
    cx, cy = (ink * x).sum() / mass, (ink * y[:, None]).sum() / mass
    xx, yy = (ink * (x - cx) ** 2).sum() / mass, (ink * (y[:, None] - cy) ** 2).sum() / mass
    xy = (ink * (x - cx) * (y[:, None] - cy)).sum() / mass
    border = np.concatenate([p[0], p[-1], p[1:-1, 0], p[1:-1, -1]])
    flat = p.reshape(-1)

    def moved(pixels: int) -> NDArray[np.float64]:
        return np.roll(flat, -pixels)

    first = sum(((flat - moved(step)) ** 2).sum() for step in (1, width))
    second = sum(((flat - 2 * moved(step) + moved(2 * step)) ** 2).sum() for step in (1, width))
    left, right = (((flat - moved(width + step)) ** 2).sum() for step in (-1, 1))
    return {
        "mean": p.mean(),
        "std": p.std(),
        "ink": (p > 0.5).mean(),
        "border": border.mean(),
        "centre_x": cx,
        "centre_y": cy,
        "spread_x": math.sqrt(xx),
        "spread_y": math.sqrt(yy),
        "slant": -xy / yy,
        "edges": math.sqrt(first / 2 / flat.size) / p.std(),
        "grain": second / first,
        "strokes": (right - left) / (right + left),
    }


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (9, 31)])
def test_a_pictures_features_are_what_they_are_defined_as(shape: tuple[int, int]) -> None:
    """Each is the textbook figure, to float32."""
    pictures = np.stack([digit(*shape), np.random.default_rng(0).random(shape).astype(np.float32)])

    found = measure(tensor(*shape), pictures)

    for number, picture in enumerate(pictures):
        for name, value in slowly(picture).items():
            assert found[name][number] == pytest.approx(value, rel=2e-3, abs=2e-5), name


def test_a_bright_ground_costs_no_precision() -> None:
    """A faint texture on a ground of 200 is measured as the same texture on a ground of 0."""
    texture = digit()[np.newaxis] * np.float32(0.5)
    plain, raised = measure(tensor(28, 28), texture), measure(tensor(28, 28), texture + np.float32(200))

    for name in ("std", "edges", "grain", "strokes", "centre_x", "slant"):
        np.testing.assert_allclose(raised[name], plain[name], rtol=5e-3, atol=1e-3, err_msg=name)


MOVES: dict[str, tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], dict[str, int]]] = {
    "shifted right": (lambda picture: np.roll(picture, 3, axis=1), {"centre_x": 1}),
    "shifted up": (lambda picture: np.roll(picture, -3, axis=0), {"centre_y": -1}),
    "mirrored": (lambda picture: picture[:, ::-1], {"slant": -1, "strokes": -1}),
    "turned a quarter": (np.rot90, {"spread_x": 1, "spread_y": -1}),
    "blurred": (
        lambda picture: (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / np.float32(3),
        {"edges": -1},
    ),
    "noised": (
        lambda picture: picture + np.random.default_rng(0).normal(0, 0.1, picture.shape).astype(np.float32),
        {"edges": 1, "grain": 1},
    ),
    "inverted": (lambda picture: 1 - picture, {"mean": 1, "border": 1, "ink": 1}),
}


@pytest.mark.parametrize("what", MOVES)
def test_what_happens_to_a_picture_moves_its_own_features(what: str) -> None:
    """A shift, a turn, a blur, noise and an inversion each move the features that are named for them."""
    change, moves = MOVES[what]
    found = measure(tensor(28, 28), np.stack([digit(), np.ascontiguousarray(change(digit()))]))

    for name, sign in moves.items():
        assert (found[name][1] - found[name][0]) * sign > 0.001, name


def test_channels_may_be_the_first_axis_or_the_last() -> None:
    """The same coloured pictures give the same features in both layouts, but for what is rolled up at the borders."""
    colours = np.random.default_rng(1).random((4, 12, 16, 3)).astype(np.float32)
    last = measure(tensor(12, 16, 3), colours)
    first = measure(tensor(3, 12, 16), np.ascontiguousarray(colours.transpose(0, 3, 1, 2)))

    for name, column in last.items():
        np.testing.assert_allclose(first[name], column, rtol=1e-4, atol=2e-2, err_msg=name)


def test_grey_pictures_are_the_same_with_and_without_a_channel() -> None:
    """An axis of one channel changes nothing."""
    pictures = np.stack([digit(), digit().T])
    plain, one = measure(tensor(28, 28), pictures), measure(tensor(28, 28, 1), pictures[..., np.newaxis])

    for name, column in plain.items():
        np.testing.assert_array_equal(one[name], column)


def test_bytes_are_measured_as_shares_of_255() -> None:
    """A uint8 picture has the features of the float picture that it shows."""
    pixels = (digit() * 255).round().astype(np.uint8)[np.newaxis]
    found, wanted = (
        measure(tensor(28, 28, dtype="uint8"), pixels),
        measure(tensor(28, 28), pixels.astype(np.float32) / 255),
    )

    for name, column in wanted.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-5, atol=1e-6)


def test_a_large_picture_is_looked_at_every_few_pixels() -> None:
    """A photograph has the features of its thinned self, in either layout."""
    large = np.random.default_rng(2).random((1, 200, 300, 3)).astype(np.float32)
    thin = measure(tensor(67, 100, 3), np.ascontiguousarray(large[:, ::3, ::3]))
    for spec, array in ((tensor(-1, -1, 3), large), (tensor(3, -1, -1), large.transpose(0, 3, 1, 2))):
        found = measure(spec, np.ascontiguousarray(array))
        np.testing.assert_allclose(found["std"], thin["std"], rtol=1e-4)
        np.testing.assert_allclose(found["centre_x"], thin["centre_x"], atol=1e-5)


def test_a_long_narrow_picture_is_thinned_no_further_than_a_picture_can_be() -> None:
    """Nine lines of 1,000 pixels are looked at whole: every eighth pixel would leave two lines."""
    assert np.isfinite(extractor(tensor(9, 1000)).measure({"in": np.random.default_rng(0).random((1, 9, 1000))})).all()


def test_a_picture_of_one_shade_has_brightness_but_no_centre() -> None:
    """A blank picture's mean is known; where its ink lies is NaN, for there is none."""
    found = measure(tensor(28, 28), np.full((1, 28, 28), 0.25, np.float32))

    assert found["mean"][0] == pytest.approx(0.25)
    assert (found["ink"][0], found["std"][0]) == (0, pytest.approx(0, abs=1e-6))
    assert np.isnan([found["centre_x"][0], found["spread_y"][0], found["slant"][0]]).all()


@pytest.mark.parametrize(
    "spec", [tensor(28, 28, 1), tensor(3), tensor(400)], ids=["a picture", "columns", "a long row"]
)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38], ids=str)
def test_odd_values_raise_nothing_and_stay_in_their_row(spec: TensorSpec, odd: float) -> None:
    """A number that is not finite, or nearly too large, never raises, and the rows beside it are as they were."""
    rows = np.random.default_rng(0).random((3, *spec.shape[1:])).astype(np.float32)
    before = extractor(spec).measure({"in": rows})
    rows[1].flat[0] = odd

    after = extractor(spec).measure({"in": rows})

    np.testing.assert_allclose(after[[0, 2]], before[[0, 2]], rtol=1e-5)
    if math.isnan(odd):
        assert np.isnan(after[1]).any()


def test_nan_in_a_picture_is_nan_in_every_feature() -> None:
    """No feature of a picture passes for a number when a pixel is none."""
    picture = digit()[np.newaxis].copy()
    picture[0, 3, 3] = np.nan

    assert all(np.isnan(column[0]) for column in measure(tensor(28, 28), picture).values())


@given(rows=st.integers(1, 70))
def test_a_row_is_measured_alike_in_any_company(rows: int) -> None:
    """Features do not depend on which rows were in the batch."""
    pictures = np.random.default_rng(3).random((rows, 28, 28, 1)).astype(np.float32)
    found = extractor(tensor(28, 28, 1))

    alone = np.concatenate([found.measure({"in": pictures[row : row + 1]}) for row in range(rows)])

    np.testing.assert_allclose(found.measure({"in": pictures}), alone, rtol=1e-4, atol=1e-5)


def test_a_message_is_measured_by_its_characters() -> None:
    """Length, words, and shares of digits, upper case, punctuation and what is not ASCII."""
    texts = np.array(["Call 0800!", "żółw", b"ab", b"\xff", "", None], object)

    found = measure(tensor(dtype="string"), texts)

    assert found["length"].tolist()[:5] == [10, 4, 2, 1, 0]
    assert found["words"].tolist()[:5] == [2, 1, 1, 1, 0]
    assert found["digits"][0] == pytest.approx(0.4)
    assert found["upper_case"][0] == found["punctuation"][0] == pytest.approx(0.1)
    assert found["non_ascii"].tolist()[:5] == [0, 0.75, 0, 1, 0]
    assert all(np.isnan(column[5]) for column in found.values())


def test_new_words_are_measured_against_a_vocabulary() -> None:
    """With a vocabulary a text has the share of its words that are new; case and punctuation do not count."""
    found = extractor(tensor(1, dtype="string"), vocabulary=vocabulary_of(["See you at home."]))

    texts = np.array([["see YOU"], ["home alone"], ["..."]], object)

    assert found.names[-1] == "new_words"
    assert found.measure({"in": texts})[:, -1].tolist() == [0, 0.5, 0]


@given(texts=st.lists(st.one_of(st.text(), st.binary()), min_size=1))
def test_any_text_can_be_measured(texts: list[str | bytes]) -> None:
    """Every string and every string of bytes gives finite features; shares are from 0 to 1."""
    array = np.empty(len(texts), object)
    array[:] = texts

    found = extractor(tensor(dtype="string"), vocabulary=vocabulary_of(["known"])).measure({"in": array})

    assert found.shape == (len(texts), 7)
    assert (found[:, 2:] >= 0).all()
    assert (found[:, 2:] <= 1).all()


def test_a_short_row_is_measured_value_by_value() -> None:
    """Each column is a feature; whole numbers and truth values are numbers too."""
    found = extractor(tensor(3, dtype="int64"))

    assert found.names == ("x0", "x1", "x2")
    assert found.measure({"in": np.array([[1, -2, 3]])}).tolist() == [[1, -2, 3]]
    assert measure(tensor(dtype="bool"), np.array([True, False]))["in"].tolist() == [1, 0]


def test_a_long_row_is_summed_up() -> None:
    """Mean, standard deviation, least, greatest and the share of zeros stand for 784 values."""
    row = np.zeros((1, 784), np.float32)
    row[0, :196] = 2

    found = measure(tensor(784), row)

    assert {name: float(column[0]) for name, column in found.items()} == pytest.approx(
        {"mean": 0.5, "std": math.sqrt(0.75), "min": 0, "max": 2, "zeros": 0.75}
    )


@pytest.mark.parametrize("others", [(), (TensorSpec(name="n", dtype="int64", shape=(-1, 1)),)])
def test_a_category_is_its_place(others: tuple[TensorSpec, ...]) -> None:
    """Among the categories of its column, which say what it means; one that is missing is NaN."""
    column = Column(categories=("Cook", "Pilot"), may_be_missing=True)
    job = TensorSpec(name="job", dtype="string", shape=(-1,), column=column)
    extractor = FeatureExtractor.of(Signature(inputs=(job, *others), outputs=(job,)))
    assert extractor is not None
    found = extractor.measure({"job": np.array(["Pilot", "", "Cook"], object), "n": np.array([[7], [8], [9]])})

    assert extractor.categories == {"job": ("Cook", "Pilot")}
    assert extractor.names == ("job", "n")[: 1 + len(others)]
    np.testing.assert_array_equal(found[:, 0], [1, np.nan, 0])
    np.testing.assert_array_equal(found[:, 1:], [[7], [8], [9]] if others else np.empty((3, 0)))


def test_several_inputs_are_measured_by_name() -> None:
    """Columns keep their names, vectors are numbered, a string counts its characters; no name is one of the model's."""
    age, confidence = tensor(name="age", dtype="int32"), tensor(1, name="confidence")
    place, job = tensor(2, name="place"), tensor(name="job", dtype="string")
    found = extractor(age, confidence, place, job)

    rows = {
        "age": np.array([30, 40], np.int32),
        "confidence": np.array([[0.5], [0.75]], np.float32),
        "place": np.array([[1, 2], [3, 4]], np.float32),
        "job": np.array(["smith", None], object),
    }

    assert found.names == ("age", "input.confidence", "place0", "place1", "job.length")
    np.testing.assert_array_equal(found.measure(rows), [[30, 0.5, 1, 2, 5], [40, 0.75, 3, 4, np.nan]])


@pytest.mark.parametrize(
    ("spec", "first"),
    [
        (tensor(28, 28), "mean"),
        (tensor(8, 8, 4), "mean"),
        (tensor(-1, -1, 3), "mean"),
        (tensor(7, 28), "x0"),
        (tensor(4, 4, 2), "x0"),
        (tensor(28, 28, dtype="int64"), "mean"),
        (tensor(256), "x0"),
        (tensor(dtype="float64"), "in"),
    ],
    ids=lambda value: str(value.shape) if isinstance(value, TensorSpec) else value,
)
def test_the_signature_alone_decides_what_is_measured(spec: TensorSpec, first: str) -> None:
    """Sizes from 8 on are pictures, up to 256 values are columns, more are summed up."""
    assert extractor(spec).names[0] == first


def test_pictures_and_long_rows_differ() -> None:
    """Whole numbers of rank 3 are no picture, and five channels are none."""
    assert "zeros" in extractor(tensor(28, 28, dtype="int64")).names
    assert "zeros" in extractor(tensor(28, 28, 5)).names
    assert "grain" in extractor(tensor(1, 28, 28)).names


@pytest.mark.parametrize(
    "specs",
    [
        (TensorSpec(name="in", dtype="float32", shape=(), is_unranked=True),),
        (TensorSpec(name="in", dtype="float32", shape=()),),
        (tensor(2, dtype="string"),),
        (tensor(name="a"), tensor(-1, name="b")),
        (tensor(200, name="a"), tensor(200, name="b")),
    ],
)
def test_rows_without_known_features_have_no_extractor(specs: tuple[TensorSpec, ...]) -> None:
    """Unknown ranks, several strings a row, and several inputs that are long or of any length are not measured."""
    assert FeatureExtractor.of(Signature(inputs=specs, outputs=(OUTPUT,))) is None


def test_a_picture_of_a_free_size_may_be_too_small() -> None:
    """It has no features then, and nothing is raised."""
    assert np.isnan(extractor(tensor(-1, -1, 1)).measure({"in": np.ones((2, 3, 40, 1), np.float32)})).all()


def test_a_batch_of_no_pictures_has_no_rows_of_features() -> None:
    """No rows in, no rows out."""
    assert extractor(tensor(28, 28, 1)).measure({"in": np.ones((0, 28, 28, 1), np.float32)}).shape[0] == 0


def test_a_batch_of_rows_of_no_values_has_no_features() -> None:
    """A row of free length may be empty."""
    assert np.isnan(extractor(tensor(-1)).measure({"in": np.ones((2, 0), np.float32)})).all()


def test_the_example_is_true() -> None:
    """The docstring's example runs and prints its stated output."""
    result = doctest.testmod(extractor_module)

    assert (result.failed, result.attempted > 0) == (0, True)
