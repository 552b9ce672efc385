"""Text vectorizers of scikit-learn, made so that ONNX has their words: exact for the usual ones, others are refused.

ONNX knows no upper case but ASCII's, and the converter's own pattern of a word no other letters; its filling of the
shorter texts of a batch, `#`, can be a piece of a text.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from fairlead.errors import Code, FairleadError

__all__ = ["Plain", "pad_with_no_text", "plain"]

_NO_CHARACTER: Final = "\U0010ffff"
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"(?u)\b\w\w+\b": r"[\p{L}\p{N}_]{2,}",
        r"(?u)\b\w+\b": r"[\p{L}\p{N}_]+",
        r"\b\w+\b": r"[\p{L}\p{N}_]+",
        r"\w+": r"[\p{L}\p{N}_]+",
        r"(?u)\w+": r"[\p{L}\p{N}_]+",
    }
)
"""The patterns of a word that are usual in scikit-learn, as ONNX Runtime's library of patterns has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A model whose vectorizers take texts that were made plain.

    Attributes:
        model: it, or a copy that is otherwise the same.
        options: what the converter is told of its vectorizers.
        is_lowered: whether texts have to be made plain before, see `fairlead.servable.text_transform`.
    """

    model: Any
    options: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    is_lowered: bool = False


def plain(model: Any, *, is_alone: bool) -> Plain:
    """The trained `model` with vectorizers that leave texts as they are.

    Args:
        model: an estimator of scikit-learn.
        is_alone: whether texts are all it takes, and not columns of a table, of which some may not be made plain.

    Raises:
        FairleadError: UNIMPLEMENTED naming what a vectorizer does that ONNX cannot.
    """
    if not any(True for _ in _vectorizers(model)):
        return Plain(model=model)
    made = copy.deepcopy(model)
    found = list(_vectorizers(made))
    for vectorizer in found:
        _check(vectorizer)
    lowered = [vectorizer.lowercase for vectorizer in found]
    if any(lowered) and not (all(lowered) and is_alone):
        raise _refused(
            found[0], "lowercase=True beside texts that keep their case", "set lowercase=False, or publish it alone"
        )
    for vectorizer in found:
        vectorizer.lowercase, vectorizer.stop_words = False, None
    options = {
        id(vectorizer): {"tokenexp": _WORDS[vectorizer.token_pattern] if vectorizer.analyzer == "word" else None}
        for vectorizer in found
    }
    return Plain(model=made, options=options, is_lowered=any(lowered))


def pad_with_no_text(model: Any) -> None:
    """Let the ONNX `model` fill up the shorter texts of a batch with a character that no text has."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Tokenizer" and attribute.name == "pad_value":
                attribute.s = _NO_CHARACTER.encode()


def _vectorizers(model: Any) -> Iterator[Any]:
    """Those in the model, however deep: in pipelines, unions, columns, ensembles, searches."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif hasattr(part, "get_params"):
            waiting += vars(part).values()
            if hasattr(part, "vocabulary_") and hasattr(part, "analyzer"):
                yield part


def _check(vectorizer: Any) -> None:
    """Raise for what would come out otherwise, or not at all."""
    default = (1, 1)
    wrong = {
        "a preprocessor": vectorizer.preprocessor is not None,
        "a tokenizer": vectorizer.tokenizer is not None,
        "strip_accents": vectorizer.strip_accents is not None,
        f"analyzer={vectorizer.analyzer!r}": vectorizer.analyzer not in ("word", "char"),
        f"token_pattern={vectorizer.token_pattern!r}": vectorizer.analyzer == "word"
        and vectorizer.token_pattern not in _WORDS,
        "lowercase=False for characters": vectorizer.analyzer == "char" and not vectorizer.lowercase,
        "stop_words between the words of a phrase": bool(vectorizer.stop_words) and vectorizer.ngram_range != default,
        "sublinear_tf": getattr(vectorizer, "sublinear_tf", False),
        f"texts with U+{ord(_NO_CHARACTER):X}": any(_NO_CHARACTER in piece for piece in vectorizer.vocabulary_),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            patterns = ", ".join(_WORDS) if what.startswith("token_pattern") else ""
            raise _refused(
                vectorizer, what, f"known are {patterns}" if patterns else "train it without, or do that step before"
            )


def _refused(vectorizer: Any, what: str, hint: str) -> FairleadError:
    return FairleadError(
        Code.UNIMPLEMENTED,
        f"the model cannot be written as ONNX: its {type(vectorizer).__name__} has {what}, which ONNX has not",
        hint=hint,
    )
