"""A graph answers in every protocol, and each says who spoke."""

from __future__ import annotations

import json
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from tests.transport.grpc.protos import (
    ModelInferRequest,
    ModelInferResponse,
    PredictRequest,
    PredictResponse,
    infer_request,
    predict_request,
)

from .conftest import Plane, Publish

ROW = np.zeros((1, 28, 28, 1), np.float32)
BOTH = "digits@1,digits@3"
MEAN = np.full(10, 0.01)
MEAN[[3, 7]] = 0.46


@pytest.fixture
def plane(publish: Publish, start_plane: Callable[[], Plane]) -> Plane:
    """It serves the average of a version that answers 3 and one that answers 7."""
    publish("both", "average", "digits@1", "digits@3")
    return start_plane()


def test_tensorflow_servings_rest_api(plane: Plane) -> None:
    """Each row is an object with the outputs."""
    status, answer = plane.post("/v1/models/both:predict")

    assert status == 200
    (row,) = answer["predictions"]
    assert row["members"] == BOTH
    np.testing.assert_allclose(row["probs"], MEAN, atol=1e-6)


def test_the_open_inference_protocols_rest_api(plane: Plane) -> None:
    """Who spoke is an output of the type BYTES."""
    image = {"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0.0] * 784}
    status, answer = plane.post("/v2/models/both/infer", json.dumps({"inputs": [image]}).encode())

    assert status == 200
    probs, members = answer["outputs"]
    np.testing.assert_allclose(probs["data"], MEAN, atol=1e-6)
    assert members == {"name": "members", "datatype": "BYTES", "shape": [1], "data": [BOTH]}


def test_the_api_for_people(plane: Plane) -> None:
    """It stands beside the label, of rows and of a picture."""
    status, answer = plane.post("/predict?model=both")

    assert status == 200
    (row,) = answer["predictions"]
    assert (row["label"], row["members"]) == ("3", BOTH)


def test_both_grpc_apis(plane: Plane) -> None:
    """As a string tensor."""
    with grpc.insecure_channel(f"127.0.0.1:{plane.grpc_port}") as channel:
        predict = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )
        predicted = predict(predict_request("both", image=ROW), timeout=10)
        inferred = infer(infer_request("both", image=ROW), timeout=10)

    assert list(predicted.outputs["members"].string_val) == [BOTH.encode()]
    assert [output.name for output in inferred.outputs] == ["probs", "members"]
    assert inferred.raw_output_contents[1] == len(BOTH).to_bytes(4, "little") + BOTH.encode()


def test_what_members_said_is_counted(plane: Plane) -> None:
    """By member and what became of its rows."""
    before = plane.rows("fairlead_graph_member_rows").get(("both", "1", "digits@3", "spoke"), 0)
    for _ in range(3):
        plane.post("/v1/models/both:predict")

    assert plane.rows("fairlead_graph_member_rows")["both", "1", "digits@3", "spoke"] == before + 3
    assert set(plane.rows("fairlead_graph_rows")) == {("both", "1", "combined")}
