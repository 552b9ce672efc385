"""Requests as messages of the private pool."""

from typing import Any

import numpy as np

from fairlead.transport.grpc.messages import Message, message_class

_DATATYPES = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64", "bool": "BOOL"}

ModelInferRequest = message_class("inference.ModelInferRequest")
ModelInferResponse = message_class("inference.ModelInferResponse")
PredictRequest = message_class("tensorflow.serving.PredictRequest")
PredictResponse = message_class("tensorflow.serving.PredictResponse")
TensorProto = message_class("tensorflow.TensorProto")


def infer_request(model: str, **inputs: Any) -> Message:
    """A ModelInferRequest with raw contents; lists are of float32."""
    request = ModelInferRequest(model_name=model)
    for name, values in inputs.items():
        array = values if isinstance(values, np.ndarray) else np.array(values, np.float32)
        request.inputs.add(name=name, datatype=_DATATYPES[array.dtype.name], shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    return request


def tensor(array: Any) -> Message:
    """A float TensorProto with its content."""
    array = np.asarray(array, np.float32)
    proto = TensorProto(dtype=1, tensor_content=array.tobytes())
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.SetInParent()
    return proto


def predict_request(model: str, **inputs: Any) -> Message:
    """A PredictRequest; the inputs are TensorProtos or lists."""
    request = PredictRequest()
    request.model_spec.name = model
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(value if isinstance(value, TensorProto) else tensor(value))
    return request
