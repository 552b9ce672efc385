"""The scikit-learn pipeline and its export: everything that knows scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.text_transform import PLAIN_TEXT, set_text_transform
from fairlead.training.extras import needs_extras

__all__ = ["INPUT", "OUTPUT", "PARAMS", "export_onnx", "fit", "probabilities"]

INPUT, OUTPUT = "text", "probs"
_NO_CHARACTER = "\U0010ffff"

PARAMS = {"ngrams": "2 to 4 characters", "min_df": 2, "C": 30.0, "class_weight": "balanced"}
"""Pieces of 2 to 4 characters: spam spells words in ways that a list of words has not seen, and so does chat."""


def fit(texts: NDArray[Any], labels: NDArray[np.int64], seed: int) -> Any:
    """A pipeline trained on texts (object [n], of str)."""
    with needs_extras("training on messages"):
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - part of the sklearn extra
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - part of the sklearn extra
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - part of the sklearn extra

    pipeline = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(2, 4), min_df=PARAMS["min_df"]),
        LogisticRegression(C=PARAMS["C"], class_weight=PARAMS["class_weight"], max_iter=1000, random_state=seed),
    )
    return pipeline.fit(texts, labels)


def probabilities(pipeline: Any, texts: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [n, 2], as scikit-learn says."""
    return np.asarray(pipeline.predict_proba(texts), np.float32)


def export_onnx(pipeline: Any, path: Path) -> None:
    """Write the pipeline as ONNX: texts [n] to probabilities [n, 2].

    Lower case and white space are left to the text transform: ONNX knows no other case than ASCII's without a locale.
    """
    with needs_extras("exporting to ONNX"):
        from skl2onnx import to_onnx  # noqa: PLC0415 - part of the sklearn extra
        from skl2onnx.common.data_types import StringTensorType  # noqa: PLC0415 - part of the sklearn extra

    vectorizer, classifier = (step for _, step in pipeline.steps)
    plain = copy(pipeline)
    plain.steps = [("vectorizer", copy(vectorizer).set_params(lowercase=False)), ("classifier", classifier)]
    with warnings.catch_warnings():
        # It vouches for words alone. That these pieces come out right is what the gate's export check looks at.
        warnings.filterwarnings("ignore", "The conversion of CountVectorizer may not work")
        model = to_onnx(
            plain,
            initial_types=[(INPUT, StringTensorType([None]))],
            options={id(classifier): {"zipmap": False}},
            target_opset=17,
        )
    _pad_with_no_text(model, vectorizer.vocabulary_)
    _name_scores(model)
    path.write_bytes(model.SerializeToString())
    set_text_transform(path, PLAIN_TEXT)


def _pad_with_no_text(model: Any, vocabulary: Iterable[str]) -> None:
    """Fill up the shorter texts of a batch with what is in no text: pieces of the usual filling, #, can be learnt."""
    if any(_NO_CHARACTER in piece for piece in vocabulary):
        raise FairleadError(Code.FAILED_PRECONDITION, f"a message to train on holds U+{ord(_NO_CHARACTER):X}")
    (tokenizer,) = (node for node in model.graph.node if node.op_type == "Tokenizer")
    (padding,) = (attribute for attribute in tokenizer.attribute if attribute.name == "pad_value")
    padding.s = _NO_CHARACTER.encode()


def _name_scores(model: Any) -> None:
    """Leave the probabilities as the only output."""
    (node,) = (node for node in model.graph.node if node.op_type == "LinearClassifier")
    node.output[1] = OUTPUT
    label, scores = model.graph.output
    scores.name = OUTPUT
    model.graph.output.remove(label)
