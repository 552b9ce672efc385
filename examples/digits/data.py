"""Handwritten digits from the first place that has them: a folder, a checksummed download, or scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.transform import Handwriting
from fairlead.training.dataset import Dataset, Rows
from fairlead.training.download import fetch, file_sha256
from fairlead.training.extras import needs_extras
from fairlead.training.recipe import Sources

from .idx import find_idx, read_images, read_labels

__all__ = ["MIRRORS", "MNIST", "load_digits"]

MNIST: Final = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""The published files and their SHA-256."""

MIRRORS: Final = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

_STEMS = tuple(name.removesuffix(".gz") for name in MNIST)
_HELD_OUT_SHARE = 0.3
_BUNDLED_SEED = 20  # which bundled digits are held out never changes, so that runs can be compared


def load_digits(sources: Sources) -> Dataset:
    """Digits as float32 [n, 28, 28, 1] in 0..1, from the first source that has them.

    The sources are idx files in `sources.data_dir`, the download of MNIST, and the digits that scikit-learn bundles.

    Raises:
        FairleadError: DATA_LOSS when files are there but damaged. Only an absent source leads on to the next.
    """
    dataset = _from_folder(sources) or _from_download(sources) or _from_sklearn()
    sources.say(dataset.source)
    return dataset


def _from_folder(sources: Sources) -> Dataset | None:
    if sources.data_dir is None:
        return None
    for folder in (sources.data_dir / "mnist", sources.data_dir):
        files = find_idx(folder, _STEMS)
        if files:
            return _from_idx(files, "local idx files", folder)
    sources.say(f"no idx files of digits in {sources.data_dir} or its folder mnist: trying the next source")
    return None


def _from_download(sources: Sources) -> Dataset | None:
    folder = sources.cache_dir / "mnist"
    try:
        files = [
            fetch([mirror + name for mirror in MIRRORS], folder / name, sha256=digest, say=sources.say)
            for name, digest in MNIST.items()
        ]
    except FairleadError as error:
        if error.code != Code.UNAVAILABLE:
            raise
        sources.say("MNIST cannot be downloaded (no mirror was reached): using the digits that scikit-learn bundles")
        return None
    return _from_idx(files, "downloaded idx files", folder)


def _from_idx(files: list[Path], kind: str, folder: Path) -> Dataset:
    train, held_out = _rows(files[0], files[1]), _rows(files[2], files[3])
    digests = {file.name: file_sha256(file) for file in files}
    is_mnist = digests == MNIST
    name = "MNIST" if is_mnist else "idx files whose SHA-256 is not the published MNIST's"
    return Dataset(
        train=train,
        held_out=held_out,
        source=f"{name}: {len(train):,} digits to train on and {len(held_out):,} held out, {kind} in {folder}",
        origin={"kind": kind, "is_published_mnist": is_mnist, "sha256": digests},
    )


def _rows(images: Path, labels: Path) -> Rows:
    pixels, classes = read_images(images), read_labels(labels)
    if len(pixels) != len(classes):
        raise FairleadError(
            Code.DATA_LOSS, f"{images.name} holds {len(pixels):,} images but {labels.name} {len(classes):,} labels"
        )
    if classes.size and classes.max() > 9:  # noqa: PLR2004 - digits
        raise FairleadError(Code.DATA_LOSS, f"{labels.name} holds the label {classes.max()}; digits are 0 to 9")
    inputs = pixels[..., np.newaxis].astype(np.float32) / np.float32(255)
    return Rows(inputs=inputs, labels=classes.astype(np.int64))


def _from_sklearn() -> Dataset:
    """The 1,797 digits of 8 x 8 that scikit-learn bundles, drawn as the serving transform draws a picture."""
    with needs_extras("loading the bundled digits"):
        from sklearn.datasets import load_digits as bundled  # noqa: PLC0415 - part of the sklearn extra
    pixels, classes = bundled(return_X_y=True)
    transform = Handwriting()
    inputs = np.stack([transform.fit(row.reshape(8, 8).astype(np.float32)) for row in pixels])[..., np.newaxis]
    train, held_out = _apart(Rows(inputs=inputs, labels=classes.astype(np.int64)))
    return Dataset(
        train=train,
        held_out=held_out,
        source=f"scikit-learn's bundled digits, 8 x 8 brought to 28 x 28: {len(train):,} to train on and"
        f" {len(held_out):,} held out",
        origin={"kind": "scikit-learn load_digits", "held_out_seed": _BUNDLED_SEED, "transform": transform.to_json()},
    )


def _apart(rows: Rows) -> tuple[Rows, Rows]:
    """Training and held-out rows, the same share of each class held out."""
    generator = np.random.default_rng(_BUNDLED_SEED)
    is_held_out = np.zeros(len(rows), np.bool_)
    for label in np.unique(rows.labels):
        where = generator.permutation(np.flatnonzero(rows.labels == label))
        is_held_out[where[: round(len(where) * _HELD_OUT_SHARE)]] = True
    return rows.take(~is_held_out), rows.take(is_held_out)
