"""Request bodies and answers as bytes: what other libraries make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from benchmarks.harness.dialects import GRPC_INFER, GRPC_PREDICT, ROWS_JSON, V2_BINARY, V2_JSON, Dialect, Payload
from benchmarks.harness.networks import CNN
from fairlead.transport.grpc.messages import message_class

PROBS = np.linspace(0, 1, 20, dtype=np.float32).reshape(2, 10)


def test_a_grpc_request_is_one_that_tritons_own_messages_read() -> None:
    """Behind the five bytes of gRPC, which say how long it is."""
    rows = CNN.rows(2)

    body = GRPC_INFER.encode(CNN, rows).body

    assert body[:5] == b"\0" + (len(body) - 5).to_bytes(4, "big")
    request = service_pb2.ModelInferRequest.FromString(body[5:])
    assert (request.model_name, request.raw_input_contents[0]) == ("cnn", rows.tobytes())
    assert list(request.inputs[0].shape) == [2, 28, 28, 1]


def test_a_binary_request_says_where_its_json_ends() -> None:
    """What follows is the tensor's bytes."""
    rows = CNN.rows(1)

    payload = V2_BINARY.encode(CNN, rows)

    end = int(payload.headers["inference-header-content-length"])
    size = json.loads(payload.body[:end])["inputs"][0]["parameters"]["binary_data_size"]
    assert (size, payload.body[end:]) == (rows.nbytes, rows.tobytes())


def grpc_predict_answer() -> bytes:
    """TensorFlow Serving's answer, with values as its server writes them."""
    response = message_class("tensorflow.serving.PredictResponse")()
    response.outputs["probs"].float_val.extend(PROBS.ravel().tolist())
    for size in PROBS.shape:
        response.outputs["probs"].tensor_shape.dim.add(size=size)
    return b"".join([bytes(5), response.SerializeToString()])


def grpc_infer_answer(*, is_raw: bool) -> bytes:
    """Triton's answer, or that of a server that types its values."""
    response = service_pb2.ModelInferResponse()
    output = response.outputs.add(name="probs", datatype="FP32", shape=PROBS.shape)
    if is_raw:
        response.raw_output_contents.append(PROBS.tobytes())
    else:
        output.contents.fp32_contents.extend(PROBS.ravel().tolist())
    return b"".join([bytes(5), response.SerializeToString()])


V2_HEAD = json.dumps({"outputs": [{"name": "probs", "shape": [2, 10], "datatype": "FP32"}]}).encode()
V2_BODY = {"outputs": [{"name": "probs", "shape": [2, 10], "datatype": "FP32", "data": PROBS.ravel().tolist()}]}


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        (ROWS_JSON, Payload(body=json.dumps({"predictions": PROBS.tolist()}).encode())),
        (ROWS_JSON, Payload(body=json.dumps(PROBS.tolist()).encode())),
        (V2_JSON, Payload(body=json.dumps(V2_BODY).encode())),
        (
            V2_BINARY,
            Payload(body=V2_HEAD + PROBS.tobytes(), headers={"inference-header-content-length": str(len(V2_HEAD))}),
        ),
        (GRPC_PREDICT, Payload(body=grpc_predict_answer())),
        (GRPC_INFER, Payload(body=grpc_infer_answer(is_raw=True))),
        (GRPC_INFER, Payload(body=grpc_infer_answer(is_raw=False))),
    ],
    ids=["predictions", "bare rows", "v2 json", "v2 binary", "predict", "infer raw", "infer typed"],
)
def test_an_answer_is_read_as_its_probabilities(dialect: Dialect, answer: Payload) -> None:
    """A row for each image."""
    np.testing.assert_array_equal(dialect.decode(answer), PROBS)
