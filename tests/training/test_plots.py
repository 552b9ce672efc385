"""The confusion matrix."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from fairlead.training.plots import confusion_matrix_png, count_confusions


def test_confusions_are_counted_by_true_class() -> None:
    """Row is the truth and column the prediction; a class that never came up has zeros."""
    truth, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 2, 1, 1, 0])

    assert count_confusions(truth, predicted, 3).tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 0]]


def test_picture_is_a_png_that_grows_with_the_classes() -> None:
    """The bytes are a PNG; more classes make a larger picture, so that counts stay readable."""
    widths = []
    for classes in (2, 12):
        truth = np.arange(100) % classes
        labels = [f"class {number}" for number in range(classes)]
        picture = Image.open(io.BytesIO(confusion_matrix_png(truth, truth, labels, "made up")))
        assert picture.format == "PNG"
        widths.append(picture.width)

    assert widths[0] < widths[1]
