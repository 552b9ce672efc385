"""Messages from the first place that has them: a folder, a checksummed download, or those written for this example."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.text_transform import plain_text
from fairlead.training.dataset import Dataset, Rows
from fairlead.training.download import fetch, file_sha256
from fairlead.training.recipe import Sources

from .written import written_messages

__all__ = ["LABELS", "MIRRORS", "SHA256", "is_held_out", "load_messages", "read_collection"]

LABELS: Final = ("ham", "spam")

SHA256: Final = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"
"""Of the published SMS Spam Collection v.1 by Almeida and Gómez Hidalgo, as it is in its zip file."""

MIRRORS: Final = (
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "https://www.dt.fee.unicamp.br/~tiago/smsspamcollection/smsspamcollection.zip",
)

_FILE = "SMSSpamCollection"
_HELD_OUT_OF_256 = 51


def load_messages(sources: Sources) -> Dataset:
    """Distinct messages with their labels, ham and spam, from the first source that has them.

    The sources are the file of the SMS Spam Collection in `sources.data_dir`, its download, and messages that were
    written for this example. What is held out depends on a message alone: no retraining ever learns it.

    Raises:
        FairleadError: DATA_LOSS when the file is there but damaged. Only an absent source leads on to the next.
    """
    dataset = _from_folder(sources) or _from_download(sources) or _written()
    sources.say(dataset.source)
    return dataset


def read_collection(path: Path) -> list[tuple[str, str]]:
    """The labels and messages in the file, line by line: `ham` or `spam`, a tab, the text.

    Raises:
        FairleadError: DATA_LOSS naming the line that is none.
    """
    try:
        lines = path.read_bytes().decode().split("\n")
    except UnicodeDecodeError as error:
        raise FairleadError(Code.DATA_LOSS, f"{path.name} is not text in UTF-8: {error}") from error
    messages: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=1):
        label, tab, text = line.partition("\t")
        if tab and label in LABELS:
            messages.append((label, text))
        elif line or number < len(lines):
            raise FairleadError(Code.DATA_LOSS, f"{path.name}, line {number}: no label and tab but {line[:20]!r}")
    return messages


def is_held_out(text: str) -> bool:
    """Whether a message is never learnt; messages that the model cannot tell apart are on one side."""
    return (
        hashlib.blake2b(plain_text(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()[0] < _HELD_OUT_OF_256
    )


def _from_folder(sources: Sources) -> Dataset | None:
    if sources.data_dir is None:
        return None
    for folder in (sources.data_dir / "sms_spam", sources.data_dir):
        if (folder / _FILE).is_file():
            return _from_file(folder / _FILE, "local file")
    sources.say(f"no {_FILE} in {sources.data_dir} or its folder sms_spam: trying the next source")
    return None


def _from_download(sources: Sources) -> Dataset | None:
    path = sources.cache_dir / "sms_spam" / _FILE
    try:
        fetch(MIRRORS, path, sha256=SHA256, say=sources.say, member=_FILE)
    except FairleadError as error:
        if error.code != Code.UNAVAILABLE:
            raise
        sources.say("the SMS Spam Collection cannot be downloaded (no mirror was reached): using written messages")
        return None
    return _from_file(path, "downloaded file")


def _from_file(path: Path, kind: str) -> Dataset:
    digest = file_sha256(path)
    is_published = digest == SHA256
    name = "SMS Spam Collection" if is_published else "messages whose SHA-256 is not the published collection's"
    origin = {"kind": kind, "is_published_collection": is_published, "sha256": digest}
    return _dataset(read_collection(path), f"{name}, {kind} in {path.parent}", origin)


def _written() -> Dataset:
    return _dataset(written_messages(), "messages written for this example", {"kind": "written"})


def _dataset(messages: Iterable[tuple[str, str]], source: str, origin: dict[str, object]) -> Dataset:
    """Each message that the model can tell from the others once, with the label that it has first."""
    distinct: dict[str, tuple[str, str]] = {}
    for label, text in messages:
        distinct.setdefault(plain_text(text), (label, text))
    texts = np.array([text for _, text in distinct.values()], object)
    labels = np.array([LABELS.index(label) for label, _ in distinct.values()], np.int64)
    held_out = np.array([is_held_out(text) for text in texts], np.bool_)
    rows = Rows(inputs=texts, labels=labels)
    train, judged = rows.take(~held_out), rows.take(held_out)
    told = f"{source}: {len(train):,} distinct ones to train on and {len(judged):,} held out"
    return Dataset(train=train, held_out=judged, source=told, origin=origin)
