"""Which signature a body names, and how far it is read for that."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.fakes import manifest_of, specs

from fairlead.errors import FairleadError
from fairlead.transport.tfserving.document import read_document
from fairlead.transport.tfserving.predict_body import PredictBody

MANIFEST = manifest_of("m", specs(x=("float32", (-1, 2))), specs(y=("float32", (-1,))))
ROWS = b'"instances": [[1, 2], [3, 4]]'


@pytest.fixture(autouse=True)
def _short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken here, compiled or not."""
    monkeypatch.setattr("fairlead.transport.quick_rows._IS_COMPILED", True)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b"{%b}" % ROWS, ""),
        (b'{"signature_name": "", %b}' % ROWS, ""),
        (b'{"signature_name": "s", %b}' % ROWS, "s"),
        (b' {\n"signature_name" : "s"\n,%b}' % ROWS, "s"),
        (b'{%b, "signature_name": "s"}\n' % ROWS, "s"),
        (b'{"signature_name": "s", %b, "signature_name": "t"}' % ROWS, "s"),
        (b'{%b, "signature_name": "s", "signature_name": "t"}' % ROWS, "s"),
        (b'{"signature\\u005fname": "s", %b, "signature_name": "t"}' % ROWS, "s"),
        (b'{"signature_name": "a-b", %b}' % ROWS, "a-b"),
        (b'{"signature_name": "\\u00e9", %b}' % ROWS, "é"),
        (b'{"a": {"b": 1, "signature_name": "s"}, %b}' % ROWS, ""),
    ],
)
def test_the_name_and_the_tensors(body: bytes, signature: str) -> None:
    """Whatever the way taken, of equal keys the first counts, and the tensors are the same."""
    asked = PredictBody(body)
    assert asked.signature == signature
    assert asked.decode(MANIFEST)["x"].tolist() == [[1, 2], [3, 4]]
    assert asked.is_rows


@pytest.mark.parametrize("form", ['{{"signature_name": "s", {0}}}', '{{{0}, "signature_name": "s"}}', "{{{0}}}"])
def test_the_usual_forms_are_not_parsed_for_the_name(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of numbers go the short way with a name before or behind them."""

    def fail(body: bytes) -> None:
        raise AssertionError(body)

    monkeypatch.setattr("fairlead.transport.tfserving.predict_body.read_document", fail)
    assert PredictBody(form.format(ROWS.decode()).encode()).decode(MANIFEST)["x"].shape == (2, 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"signature_name": 1, "instances": [[1, 2]]}',
        b'{"instances": [[1, 2]], "signature_name": null}',
        b'{"a": 0, "signature_name": "s", ',
        b'{"instances": [["\\',
    ],
)
def test_a_body_that_must_be_read_for_the_name_may_be_refused(body: bytes) -> None:
    """Before any model is looked at."""
    with pytest.raises(FairleadError):
        PredictBody(body)


NAMES = st.sampled_from(["", "s", "serving_default", "é", "a b", '"', "\\"])
MEMBERS = st.lists(
    st.tuples(st.just("signature_name"), NAMES)
    | st.tuples(st.just("instances"), st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=2), min_size=1))
    | st.tuples(
        st.sampled_from(["a", "context"]), st.none() | NAMES | st.dictionaries(st.just("signature_name"), NAMES)
    ),
    max_size=4,
)


@given(members=MEMBERS, ascii_only=st.booleans(), space=st.sampled_from(["", " ", "\n"]))
def test_any_object_is_understood_as_if_it_were_parsed(
    members: list[tuple[str, object]], ascii_only: bool, space: str
) -> None:
    """The short ways find the name that the document has."""
    pairs = (f"{json.dumps(key)}:{space}{json.dumps(value, ensure_ascii=ascii_only)}" for key, value in members)
    body = (space + "{" + f"{space},{space}".join(pairs) + "}" + space).encode()
    assert PredictBody(body).signature == read_document(body).get("signature_name", "")
