"""Real handwriting, as pictures, through a real server."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from .conftest import Server, StartServer

pytestmark = pytest.mark.usefixtures("without_log")

Picture = NDArray[np.uint8]
PICTURES = 1000


def inverted(picture: Picture) -> Picture:
    """Dark ink on a light ground."""
    return 255 - picture


def enlarged(picture: Picture) -> Picture:
    """100 x 100 pixels."""
    return np.asarray(Image.fromarray(picture).resize((100, 100)))


def enlarged_and_inverted(picture: Picture) -> Picture:
    """Both at once."""
    return inverted(enlarged(picture))


def right(
    server: Server, pictures: NDArray[np.uint8], labels: NDArray[np.uint8], change: Callable[[Picture], Picture]
) -> int:
    """How many of the pictures, sent as PNG, come back with their label."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    count = 0
    for picture, label in zip(pictures, labels, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(change(picture)).save(buffer, "PNG")
        connection.request("POST", "/predict", buffer.getvalue())
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        count += answer["label"] == str(label)
    connection.close()
    return count


@pytest.mark.slow
def test_real_digits_are_read_from_pictures_of_any_size_and_polarity(
    real_data: Path, mnist_store: Path, start_server: StartServer
) -> None:
    """Of 1,000 MNIST test pictures 99 % are right as they are, and 97 % inverted, enlarged, or both."""
    raw = gzip.decompress((real_data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    pictures = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:PICTURES]
    raw = gzip.decompress((real_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    labels = np.frombuffer(raw, np.uint8, offset=8)[:PICTURES]
    server = start_server(mnist_store)
    server.wait_ready()

    counts = {
        change.__name__: right(server, pictures, labels, change)
        for change in (np.asarray, inverted, enlarged, enlarged_and_inverted)
    }

    logging.getLogger(__name__).info("right of %d: %s", PICTURES, counts)  # pytest -rP --log-level=INFO shows it
    assert counts["asarray"] >= 990, counts
    assert min(counts.values()) >= 970, counts
