"""How a text is made plain before a model sees it: named in the model's own file.

ONNX has no operators that lower the case of every script or shorten runs of white space, and text pipelines begin with
both. The name is in the file's metadata, so that whoever opens it, for whatever protocol, does the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from fairlead.errors import Code, FairleadError

__all__ = ["PLAIN_TEXT", "TextTransform", "plain_text", "set_text_transform", "text_transform"]

TextTransform = Callable[[str], str]

PLAIN_TEXT: Final = "plain-text-1"
_KEY = "fairlead.text_transform"
_RUNS = re.compile(r"\s\s+")


def plain_text(text: str) -> str:
    """`text` in lower case, and with one space for every run of white space.

    Both as scikit-learn's vectorizers do by default: a single tab or line break stays what it is.

    >>> plain_text("FREE   ENTRY À")
    'free entry à'
    """
    return _RUNS.sub(" ", text.lower())


_TRANSFORMS: Mapping[str, TextTransform] = {PLAIN_TEXT: plain_text}


def text_transform(metadata: Mapping[str, str]) -> TextTransform | None:
    """The transform that a model's metadata names; None when it names none.

    Raises:
        FairleadError: FAILED_PRECONDITION when this Fairlead does not know it.
    """
    name = metadata.get(_KEY)
    if name is None:
        return None
    if name not in _TRANSFORMS:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the model names the text transform {name[:80]!r}, which this Fairlead does not know",
            hint="pip install --upgrade fairlead",
        )
    return _TRANSFORMS[name]


def set_text_transform(path: Path, name: str) -> None:
    """Name the transform of all texts that the ONNX file at `path` takes. Needs the `onnx` library."""
    from onnx import load, save_model  # noqa: PLC0415 - an optional library

    model = load(str(path), load_external_data=False)
    entry = model.metadata_props.add()
    entry.key, entry.value = _KEY, name
    save_model(model, str(path))
