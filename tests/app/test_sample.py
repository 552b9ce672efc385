"""A version's first golden input becomes a picture that gives the same input again, or a text or a row to send."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fairlead.app.sample import write_sample
from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.transform import Handwriting
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE, publish_digit


def publish(store: WritableStore, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> None:
    """Publish the model m with these golden inputs."""
    named = inputs if isinstance(inputs, Mapping) else {"image": inputs}
    rows = len(next(iter(named.values())))

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="m",
            version=version,
            runtime="onnx",
            signature=DIGIT_SIGNATURE,
            labels=(),
            files=files,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    path = store.root.parent / GOLDEN_FILE
    Golden(inputs=named, outputs={"probs": np.zeros((rows, 10), np.float32)}).save(path)
    store.publish("m", {GOLDEN_FILE: path}, describe)


def test_the_picture_gives_the_golden_input_back(store: WritableStore, tmp_path: Path) -> None:
    """All 256 shades of ink go through the PNG and the transform without loss."""
    first = np.zeros((28, 28), np.uint8)
    first[6:22, 6:22] = np.arange(256).reshape(16, 16)
    inputs = np.stack([first, first.T])[:, :, :, np.newaxis].astype(np.float32) / np.float32(255)
    publish(store, inputs)

    path = write_sample(store, "m", 1, tmp_path / "deep" / "samples").picture

    assert path == tmp_path / "deep" / "samples" / "m-1.png"
    assert path is not None
    np.testing.assert_array_equal(Handwriting().apply(path.read_bytes()), inputs[:1])


def test_the_picture_is_dark_on_light(store: WritableStore, tmp_path: Path) -> None:
    """As on paper: the corner is white, in a grey PNG of the model's size."""
    publish_digit(store, "digits", 3)

    path = write_sample(store, "digits", 1, tmp_path).picture

    assert path is not None
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (28, 28))
        assert picture.getpixel((0, 0)) == 255


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("are you\n coming?", "are you coming?"),
        ("word " * 30, ("word " * 12).strip()),
        ("é" * 100, "é" * 60),
    ],
)
def test_a_text_is_shown_by_its_first_words(store: WritableStore, tmp_path: Path, text: str, shown: str) -> None:
    """On one line of a terminal, and no file is written for it."""
    publish(store, np.array([text, "another"], object))

    sample = write_sample(store, "m", 1, tmp_path / "samples")

    assert (sample.body, sample.picture) == ({"text": shown}, None)
    assert not (tmp_path / "samples").exists()


def test_a_row_of_a_table_is_shown_as_it_is_sent(store: WritableStore, tmp_path: Path) -> None:
    """Numbers by their shortest digits, and what is missing as null."""
    row: dict[str, NDArray[Any]] = {
        "age": np.array([39, 40], np.int64),
        "height": np.array([1.7, 1.8], np.float32),
        "income": np.array([np.nan, 1], np.float64),
        "is_member": np.array([True, False]),
        "job": np.array(["Pilot", "Cook"], object),
        "town": np.array(["", "Rome"], object),
    }
    publish(store, row)

    body = write_sample(store, "m", 1, tmp_path).body

    sent = {"age": 39, "height": 1.7, "income": None, "is_member": True, "job": "Pilot", "town": None}
    assert json.loads(json.dumps(body)) == {"row": sent}


def test_a_model_that_serves_nothing_has_no_sample(store: WritableStore, tmp_path: Path) -> None:
    """It is said plainly."""
    with pytest.raises(FairleadError, match="m serves no version") as caught:
        write_sample(store, "m", None, tmp_path)

    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 8), (2, 8, 8, 3)])
def test_a_model_that_takes_no_grey_pictures_has_none(
    store: WritableStore, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """A row of figures, a bare matrix and a colour picture are not guessed at."""
    publish(store, np.zeros(shape, np.float32))

    with pytest.raises(FairleadError, match="m@1 takes neither grey pictures nor texts nor named columns") as caught:
        write_sample(store, "m", 1, tmp_path / "samples")

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert not (tmp_path / "samples").exists()


def test_a_damaged_version_gives_no_sample(store: WritableStore, tmp_path: Path) -> None:
    """Its bytes are checked first."""
    publish(store, np.zeros((1, 28, 28, 1), np.float32))
    (store.root / "m" / "1" / GOLDEN_FILE).write_bytes(b"other")

    with pytest.raises(FairleadError, match="SHA-256"):
        write_sample(store, "m", 1, tmp_path)
