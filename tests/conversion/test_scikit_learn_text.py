"""Texts in any script are answered as scikit-learn answers them, or the step that ONNX lacks is named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

from fairlead.conversion.choosing import original_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import open_model

WORDS = [
    "Free",
    "PRIZE",
    "now",
    "the",
    "There",
    "call",
    "£1000",
    "ÀÉ",
    "Straße",
    "Όχι",
    "हिन्दी",
    "中文字",
    "😀",
    "can't",
    "e-mail",
]
WORDS += ["x1", "a", "I", "\uff21\uff22", "İ", "ﬁ", "ǅ", "#", "_"]
DICE = random.Random(0)
RANGES = ((32, 127), (0xA0, 0x500), (0x900, 0xD7FF), (0xE000, 0x10FFFF), (9, 33))


def mess() -> str:
    """Characters of any script, white space of any kind."""
    return "".join(chr(DICE.randrange(*DICE.choice(RANGES))) for _ in range(DICE.randrange(40)))


TEXTS = [" ".join(DICE.choices(WORDS, k=DICE.randrange(1, 12))) for _ in range(200)]
TRUTH = np.arange(200) % 2
MESSY = [*TEXTS, *(mess() for _ in range(500)), "", " ", "#", "# #", "\t\n", " x", "a" * 10_000]
TABLE = pd.DataFrame({"text": TEXTS, "job": ["Cook", "Clerk"] * 100})


def classifier(*steps: Any) -> Any:
    """These steps and a classifier, trained."""
    return make_pipeline(*steps, LogisticRegression()).fit(TEXTS, TRUTH)


KINDS = {
    "words": lambda: classifier(TfidfVectorizer()),
    "characters": lambda: classifier(TfidfVectorizer(analyzer="char", ngram_range=(2, 3))),
    "counts": lambda: classifier(CountVectorizer(stop_words=["the"], binary=True), TfidfTransformer()),
    "with-case": lambda: make_pipeline(
        CountVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), lowercase=False), MultinomialNB()
    ).fit(TEXTS, TRUTH),
    "both": lambda: classifier(make_union(TfidfVectorizer(), TfidfVectorizer(analyzer="char", ngram_range=(1, 3)))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_answered_as_the_model_answers_them(tmp_path: Path, kind: str) -> None:
    """Together, so that short ones are filled up, and each alone."""
    model = KINDS[kind]()
    original = original_of(model, MESSY)
    original.export(tmp_path / "model.onnx")
    servable, signature = open_model(tmp_path / "model.onnx")
    want = original.answer()["probabilities"]
    got = servable.predict(original.inputs)["probabilities"]

    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("text", "string", (-1,))]
    assert float(np.abs(got - want).max()) < 1e-5
    for row in (0, 200, *range(len(MESSY) - 7, len(MESSY))):
        alone = servable.predict({"text": np.array([MESSY[row]], object)})["probabilities"]
        assert float(np.abs(alone - want[row]).max()) < 1e-5


def test_the_model_stays_as_it_was(tmp_path: Path) -> None:
    """What is changed for ONNX is changed in a copy."""
    model = KINDS["counts"]()
    original_of(model, TEXTS).export(tmp_path / "model.onnx")

    assert (model[0].lowercase, model[0].stop_words) == (True, ["the"])


def test_a_text_can_be_a_column(tmp_path: Path) -> None:
    """With its case, beside others that have theirs."""
    columns = make_column_transformer((CountVectorizer(lowercase=False), "text"), (OneHotEncoder(), ["job"]))
    model = make_pipeline(columns, LogisticRegression()).fit(TABLE, TRUTH)
    original = original_of(model, TABLE)
    original.export(tmp_path / "model.onnx")
    got = open_model(tmp_path / "model.onnx")[0].predict(original.inputs)["probabilities"]

    np.testing.assert_allclose(got, original.answer()["probabilities"], atol=1e-6)


LACKING: list[tuple[Any, str]] = [
    (TfidfVectorizer(sublinear_tf=True), "TfidfVectorizer has sublinear_tf"),
    (TfidfVectorizer(analyzer="char_wb"), "has analyzer='char_wb'"),
    (TfidfVectorizer(analyzer="char", lowercase=False), "has lowercase=False for characters"),
    (TfidfVectorizer(token_pattern=r"\S+"), r"has token_pattern='\\\\S\+'"),
    (TfidfVectorizer(strip_accents="unicode"), "has strip_accents"),
    (CountVectorizer(tokenizer=str.split, token_pattern=None), "CountVectorizer has a tokenizer"),
    (CountVectorizer(preprocessor=str.strip), "has a preprocessor"),
    (CountVectorizer(stop_words=["the"], ngram_range=(1, 2)), "has stop_words between the words of a phrase"),
    (make_union(CountVectorizer(), CountVectorizer(lowercase=False)), "has lowercase=True beside texts that keep"),
    (HashingVectorizer(n_features=8), "HashingVectorizer has no counterpart in ONNX"),
]


@pytest.mark.parametrize(("vectorizer", "reason"), LACKING, ids=[reason for _, reason in LACKING])
def test_what_onnx_lacks_is_named(tmp_path: Path, vectorizer: Any, reason: str) -> None:
    """Rather than left out, as the converter does with some of it."""
    original = original_of(classifier(vectorizer), TEXTS)
    with pytest.raises(FairleadError, match=reason) as caught:
        original.export(tmp_path / "model.onnx")

    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.hint


def test_a_lowered_column_beside_others_is_refused(tmp_path: Path) -> None:
    """Lower case is made of all texts of a request, and a category would lose its own."""
    columns = make_column_transformer((CountVectorizer(), "text"), (OneHotEncoder(), ["job"]))
    original = original_of(make_pipeline(columns, LogisticRegression()).fit(TABLE, TRUTH), TABLE)
    with pytest.raises(FairleadError, match="lowercase=True beside texts that keep their case"):
        original.export(tmp_path / "model.onnx")


def test_a_search_is_what_it_found(tmp_path: Path) -> None:
    """The best of the estimators that were tried, trained again."""
    grid = {"logisticregression__C": [1.0, 2.0]}
    search = GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegression()), grid, cv=2).fit(TEXTS, TRUTH)
    original = original_of(search, MESSY)
    original.export(tmp_path / "model.onnx")
    got = open_model(tmp_path / "model.onnx")[0].predict(original.inputs)["probabilities"]

    assert original.kind == "Pipeline"
    assert float(np.abs(got - search.predict_proba(MESSY)).max()) < 1e-5
