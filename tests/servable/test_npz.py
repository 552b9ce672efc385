"""Arrays in files without a pickle."""

import io
from pathlib import Path

import numpy as np
import pytest

from fairlead.servable.npz import read_npz, write_npz


def test_texts_and_numbers_come_back_as_tensors_have_them(tmp_path: Path) -> None:
    """Texts of any shape as str, whether they were str or bytes, and numbers in their dtype."""
    texts = np.array([["a", "é".encode()], ["", "👍🏽"]], object)
    write_npz(tmp_path / "a.npz", {"texts": texts, "one": "x", "numbers": np.arange(3, dtype=np.int16)})

    found = read_npz(tmp_path / "a.npz")

    assert found["texts"].dtype == object
    assert found["texts"].tolist() == [["a", "é"], ["", "👍🏽"]]
    assert (found["one"].shape, found["one"].item()) == ((), "x")
    assert found["numbers"].dtype == np.int16
    assert found["numbers"].tolist() == [0, 1, 2]


def test_nothing_is_unpickled() -> None:
    """A file with a pickle in it is refused."""
    file = io.BytesIO()
    np.savez(file, x=np.array([{}], object))
    file.seek(0)

    with pytest.raises(ValueError, match="allow_pickle"):
        read_npz(file)
