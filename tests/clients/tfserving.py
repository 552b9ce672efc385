"""TensorFlow Serving's services through `tensorflow-serving-api`: its stubs, and its messages made with little ado."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

import grpc
import numpy as np
import pytest
from tests.clients.models import check_tensor

from fairlead.servable.signature import Array

__all__ = ["TIMEOUT_S", "Stubs", "check_outputs", "refusal"]

TIMEOUT_S = 20.0

VALUES = {
    "bool": "bool_val",
    "string": "string_val",
    "float16": "half_val",
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "int64": "int64_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
"""By dtype, where a TensorProto holds values that are not in `tensor_content`."""


class Stubs:
    """TensorFlow and its API, imported only by whoever needs them, and the two services over one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        import tensorflow as tf
        from tensorflow_serving import apis
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self.tf = tf
        self.apis = apis
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)

    def request(self, message: str, model: str, **spec: Any) -> Any:
        """A message by its name in the API, such as "predict_pb2.PredictRequest"; `spec` goes into its ModelSpec."""
        request = attrgetter(message)(self.apis)()
        self.specify(request.model_spec, model, **spec)
        return request

    def specify(self, model_spec: Any, model: str, *, version: int | None = None, **texts: str) -> None:
        """Fill in a ModelSpec; `texts` are its other fields."""
        model_spec.name = model
        if version is not None:
            model_spec.version.value = version
        for field, text in texts.items():
            setattr(model_spec, field, text)

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        outputs: Iterable[str] = (),
        timeout: float = TIMEOUT_S,
        **spec: Any,
    ) -> Any:
        """Ask Predict; inputs are arrays, or TensorProtos."""
        request = self.request("predict_pb2.PredictRequest", model, **spec)
        request.output_filter.extend(outputs)
        for name, value in inputs.items():
            proto = self.tf.make_tensor_proto(value) if isinstance(value, np.ndarray) else value
            request.inputs[name].CopyFrom(proto)
        return self.predictions.Predict(request, timeout)

    def tensor(self, dtype: str, shape: Iterable[int], values: Iterable[Any]) -> Any:
        """A TensorProto of values in the list that belongs to the dtype."""
        proto = self.tf.make_tensor_proto([], dtype=self.tf.as_dtype(dtype))
        del proto.tensor_shape.dim[:]
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
        getattr(proto, VALUES[dtype]).extend(values)
        return proto

    def examples(
        self, request: Any, *examples: Mapping[str, list[Any]], context: Mapping[str, list[Any]] | None = None
    ) -> Any:
        """Fill in a request's Input, with lists of floats, of whole numbers or of bytes as features."""
        if context is None:
            request.input.example_list.examples.extend(map(self._example, examples))
        else:
            request.input.example_list_with_context.examples.extend(map(self._example, examples))
            request.input.example_list_with_context.context.CopyFrom(self._example(context))
        return request

    def _example(self, features: Mapping[str, list[Any]]) -> Any:
        example = self.tf.train.Example()
        kinds = {float: "float_list", int: "int64_list", bytes: "bytes_list"}
        for name, values in features.items():
            getattr(example.features.feature[name], kinds[type(values[0])]).value.extend(values)
        return example


def check_outputs(stubs: Stubs, response: Any, want: Mapping[str, Array]) -> None:
    """Assert that the response has exactly these tensors."""
    assert set(response.outputs) == set(want)
    for name, array in want.items():
        check_tensor(stubs.tf.make_ndarray(response.outputs[name]), array)


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[str, str]:
    """The code's name and the text of the error that a call is answered with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code().name, caught.value.details()
