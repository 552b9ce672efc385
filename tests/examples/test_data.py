"""Where the digits come from, and that the user is told."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.dataset import class_counts, overlap, row_digests
from fairlead.training.download import file_sha256
from fairlead.training.recipe import Sources


@pytest.mark.parametrize(("folder", "packed"), [("mnist", True), ("mnist", False), (".", True)])
def test_local_files_come_first(folder: str, packed: bool, digits: Any, idx: Any, sources: Sources) -> None:
    """Idx files in the data folder, or in its folder mnist, packed or plain, are taken before any other source."""
    assert sources.data_dir
    idx.write(sources.data_dir / folder, packed=packed)

    dataset = digits.load(sources)

    assert (len(dataset.train), len(dataset.held_out)) == (30, 20)
    assert dataset.train.inputs.shape == (30, 28, 28, 1)
    assert dataset.train.inputs.max() <= 1.0
    assert dataset.origin["kind"] == "local idx files"


def test_source_is_said_in_one_line(digits: Any, idx: Any, sources: Sources, said: list[str]) -> None:
    """The user reads which data were used, and files that are not the published MNIST are called so."""
    assert sources.data_dir
    idx.write(sources.data_dir)

    dataset = digits.load(sources)

    assert said == [dataset.source]
    assert "not the published MNIST's" in dataset.source
    assert dataset.origin["is_published_mnist"] is False


def test_empty_files_are_a_data_set(digits: Any, idx: Any, sources: Sources) -> None:
    """No rows at all is for a gate to refuse: loading and splitting them is no error."""
    assert sources.data_dir
    idx.write(sources.data_dir, train=0, held_out=0)
    dataset = digits.load(sources)
    split = digits.split(dataset, 1)

    assert (len(split.train), len(split.validation), len(split.held_out)) == (0, 0, 0)


def test_damaged_file_is_no_reason_to_look_elsewhere(digits: Any, idx: Any, sources: Sources) -> None:
    """A file that is there but damaged ends the loading: another source would hide it."""
    assert sources.data_dir
    folder = idx.write(sources.data_dir)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(FairleadError, match=r"t10k-labels-idx1-ubyte\.gz") as caught:
        digits.load(sources)

    assert caught.value.code == Code.DATA_LOSS


def test_images_and_labels_must_agree(digits: Any, idx: Any, sources: Sources) -> None:
    """Sound files with different numbers of rows are refused with both numbers."""
    assert sources.data_dir
    folder = idx.write(sources.data_dir)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx.labels(np.zeros(19, np.uint8))))
    with pytest.raises(FairleadError, match=r"20 images .* 19 labels"):
        digits.load(sources)


def test_labels_are_digits(digits: Any, idx: Any, sources: Sources) -> None:
    """A label above nine is refused."""
    assert sources.data_dir
    folder = idx.write(sources.data_dir)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx.labels(np.full(20, 10, np.uint8))))
    with pytest.raises(FairleadError, match="holds the label 10"):
        digits.load(sources)


@pytest.mark.usefixtures("no_download")
def test_bundled_digits_are_the_last_resort(digits: Any, sources: Sources, said: list[str]) -> None:
    """Without files and without a network the digits of scikit-learn are used, and each step is said."""
    dataset = digits.load(sources)

    assert len(said) == 3
    assert "no idx files" in said[0]
    assert "cannot be downloaded" in said[1]
    assert said[2] == dataset.source
    assert "scikit-learn" in dataset.source


@pytest.mark.usefixtures("no_download")
def test_bundled_digits_look_like_served_pictures(digits: Any, sources: Sources) -> None:
    """They have the geometry that the serving transform gives: ink in a box of 20, and a strongest ink of one."""
    dataset = digits.load(sources)

    assert dataset.train.inputs.shape[1:] == (28, 28, 1)
    assert np.allclose(dataset.train.inputs.max(axis=(1, 2, 3)), 1.0)
    ink = dataset.train.inputs[..., 0] > 0
    heights = ink.any(axis=2).sum(axis=1)
    widths = ink.any(axis=1).sum(axis=1)
    assert np.maximum(heights, widths).max() <= 20


@pytest.mark.usefixtures("no_download")
def test_held_out_digits_are_never_trained_on(digits: Any, sources: Sources) -> None:
    """At least 500 are held out, every class has its share, and none of their pictures is in the other parts."""
    dataset = digits.load(replace(sources, data_dir=None))
    split = digits.split(dataset, 1)

    assert len(split.held_out) >= 500
    assert min(class_counts(split.held_out, 10)) >= 50
    assert min(class_counts(split.validation, 10)) >= 1
    assert overlap(split) == 0
    assert not set(row_digests(split.train)) & set(row_digests(split.validation))


@pytest.fixture
def mirror(
    part: Callable[[str], ModuleType], idx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder that a server on this machine gives out as the only mirror; its files count as the published ones."""
    folder: Path = idx.write(tmp_path / "mirror")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(part("data"), "MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
        monkeypatch.setattr(part("data"), "MNIST", {name: file_sha256(folder / name) for name in part("data").MNIST})
        yield folder
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Gives files out and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def test_download_comes_second(mirror: Path, digits: Any, sources: Sources) -> None:
    """Without local files the digits are downloaded into the cache, and the source says so."""
    dataset = digits.load(sources)

    assert (len(dataset.train), len(dataset.held_out)) == (30, 20)
    assert dataset.origin["kind"] == "downloaded idx files"
    assert len(list((sources.cache_dir / "mnist").iterdir())) == 4


def test_wrong_download_is_not_passed_over(mirror: Path, digits: Any, sources: Sources) -> None:
    """A mirror that gives other files ends the loading: the user must know, and not train on something else."""
    (mirror / "t10k-labels-idx1-ubyte.gz").write_bytes(b"a login page")
    with pytest.raises(FairleadError) as caught:
        digits.load(sources)

    assert caught.value.code == Code.DATA_LOSS


def test_split_follows_the_seed(digits: Any, idx: Any, sources: Sources) -> None:
    """The same seed gives the same split, another seed another; the held-out rows are always the same."""
    assert sources.data_dir
    idx.write(sources.data_dir, train=400)
    dataset = digits.load(sources)
    one, again, other = (digits.split(dataset, seed) for seed in (1, 1, 2))

    assert row_digests(one.validation) == row_digests(again.validation)
    assert row_digests(one.validation) != row_digests(other.validation)
    assert row_digests(one.held_out) == row_digests(other.held_out)
    assert len(one.train) + len(one.validation) == 400


def test_split_drops_training_rows_that_are_held_out(digits: Any, idx: Any, sources: Sources) -> None:
    """A picture that is in both parts of the data set is judged on and not learnt from."""
    assert sources.data_dir
    folder = idx.write(sources.data_dir, train=30, held_out=20)
    for stem in ("images-idx3", "labels-idx1"):  # the held-out files become copies of the training files
        (folder / f"t10k-{stem}-ubyte.gz").write_bytes((folder / f"train-{stem}-ubyte.gz").read_bytes())

    split = digits.split(digits.load(sources), 1)

    assert (len(split.train), len(split.validation), len(split.held_out)) == (0, 0, 30)


def test_published_mnist_is_recognised(
    digits: Any, part: Callable[[str], ModuleType], sources: Sources, real_data: Path
) -> None:
    """The published files are called MNIST, have 60,000 and 10,000 rows, and no picture in both parts."""
    dataset = digits.load(replace(sources, data_dir=real_data))

    assert dataset.origin["sha256"] == part("data").MNIST
    assert dataset.source.startswith("MNIST: 60,000")
    assert class_counts(dataset.held_out, 10) == (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert overlap(digits.split(dataset, 1)) == 0
