"""A graph over models of tables takes the values that all its members take."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fairlead.errors import FairleadError
from fairlead.servable.column import Column
from fairlead.servable.graph.fit import fit
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import parse_id
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Signature, TensorSpec

OUTPUTS = (TensorSpec(name="y", dtype="float32", shape=(-1,)),)


def table(name: str, job: Column | None, age: Column | None) -> Manifest:
    """A model of two columns."""
    id_ = parse_id(name)
    inputs = (
        TensorSpec(name="job", dtype="string", shape=(-1,), column=job),
        TensorSpec(name="age", dtype="float32", shape=(-1,), column=age),
    )
    return Manifest(
        model=id_.model,
        version=id_.version,
        runtime="onnx",
        signature=Signature(inputs=inputs, outputs=OUTPUTS),
        labels=(),
        files={},
        created_at=datetime.now(UTC),
    )


def fitted(*members: Manifest, fallback: Manifest | None = None) -> list[Column | None]:
    """The columns of the average of them."""
    stand_in = {} if fallback is None else {"fallback": {"version": str(fallback.id)}}
    spec = GraphSpec.from_json({"kind": "average", "members": [{"version": str(m.id)} for m in members]} | stand_in)
    named = [*members, *([fallback] if fallback else [])]
    return [one.column for one in fit(spec, {member.id: member for member in named}).signature.inputs]


ONE = table("a@1", Column(categories=("cook", "pilot")), Column(minimum=0, maximum=90, may_be_missing=True))
OTHER = table("b@1", Column(categories=("clerk", "pilot", "cook")), Column(minimum=18))


def test_it_takes_what_all_members_take() -> None:
    """Categories that all know, the narrowest bounds, and no missing values where one knows none."""
    assert fitted(ONE, OTHER) == [Column(categories=("cook", "pilot")), Column(minimum=18, maximum=90)]


def test_a_stand_in_takes_as_much() -> None:
    """Else rows that the members take would be refused by it."""
    assert fitted(ONE, OTHER, fallback=table("c@1", Column(), Column()))
    narrow = table("c@1", Column(categories=("cook",)), Column())
    with pytest.raises(FairleadError, match="c@1 cannot stand in"):
        fitted(ONE, OTHER, fallback=narrow)


def test_columns_with_no_value_in_common_do_not_fit() -> None:
    """And a column fits no tensor."""
    with pytest.raises(FairleadError, match="no category of column 'job' is known to all of a@1, c@1"):
        fitted(ONE, table("c@1", Column(categories=("clerk",)), Column()))
    with pytest.raises(FairleadError, match="c@1 takes 'job' as a tensor, and others as a column"):
        fitted(ONE, table("c@1", None, None))
