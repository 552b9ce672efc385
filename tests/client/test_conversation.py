"""What is asked for a call, with answers made up."""

from __future__ import annotations

import pytest

from fairlead.client.conversation import Conversations
from fairlead.client.question import Describe, Infer, ModelMetadata, Prediction
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import TensorSpec
from fairlead.serving.target import Target

DIGITS = Target(model="digits")
ANSWER = Prediction(model="digits", version=1, outputs={}, ids=())
WRONG = FairleadError(Code.INVALID_ARGUMENT, "unexpected inference input")


def taking(name: str, dtype: str = "float32") -> ModelMetadata:
    """A version of one input."""
    spec = TensorSpec(name=name, dtype=dtype, shape=(-1,))
    return ModelMetadata(name="digits", versions=(1,), platform="", inputs=(spec,), outputs=())


def knowing(metadata: ModelMetadata) -> Conversations:
    """A client that has predicted before."""
    conversations = Conversations()
    conversation = conversations.metadata(DIGITS)
    assert next(conversation) == Describe(target=DIGITS)
    with pytest.raises(StopIteration):
        conversation.send(metadata)
    return conversations


def test_what_a_model_takes_is_asked_once() -> None:
    """The first prediction asks for it, the second one predicts at once."""
    conversations = Conversations()
    first = conversations.predict(DIGITS, [1], request_id="", sticky_key="")
    assert isinstance(next(first), Describe)
    asked = first.send(taking("x"))
    assert isinstance(asked, Infer)
    assert asked.tensors["x"].tolist() == [1.0]
    with pytest.raises(StopIteration) as done:
        first.send(ANSWER)
    assert done.value.value is ANSWER

    assert isinstance(next(conversations.predict(DIGITS, [1], request_id="", sticky_key="")), Infer)


def test_a_model_may_take_something_else_later() -> None:
    """When the server refuses, what it takes is asked again, and if that is new the inputs are made anew."""
    conversation = knowing(taking("x")).predict(DIGITS, [1], request_id="a", sticky_key="b")
    next(conversation)
    assert isinstance(conversation.throw(WRONG), Describe)
    asked = conversation.send(taking("z", "int64"))

    assert isinstance(asked, Infer)
    assert (asked.request_id, asked.sticky_key, asked.tensors["z"].dtype.name) == ("a", "b", "int64")


def test_a_bad_request_is_told_as_it_was() -> None:
    """The model still takes the same, so that it is the caller's fault."""
    conversation = knowing(taking("x")).predict(DIGITS, [1], request_id="", sticky_key="")
    next(conversation)
    conversation.throw(WRONG)
    with pytest.raises(FairleadError) as caught:
        conversation.send(taking("x"))

    assert caught.value is WRONG


def test_another_error_asks_nothing_more() -> None:
    """It says nothing of what the model takes."""
    conversation = knowing(taking("x")).predict(DIGITS, [1], request_id="", sticky_key="")
    next(conversation)
    error = FairleadError(Code.UNAVAILABLE, "busy")
    with pytest.raises(FairleadError) as caught:
        conversation.throw(error)

    assert caught.value is error
