"""A prediction as the answer to `infer`: JSON, and behind it the outputs that are wanted as bytes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import orjson

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, TensorSpec
from fairlead.serving.predictor import Prediction
from fairlead.transport.invalid import invalid
from fairlead.transport.message import Response
from fairlead.transport.v2.binary import to_bytes
from fairlead.transport.v2.classification import check_classifiable, classify
from fairlead.transport.v2.datatype import datatype_of
from fairlead.transport.v2.inference import Inference, Wanted
from fairlead.transport.v2.values import to_json

__all__ = ["check_wanted", "encode_answer", "wanted_arrays"]

_BINARY = b"application/octet-stream"


def check_wanted(inference: Inference, manifest: Manifest) -> None:
    """Raise INVALID_ARGUMENT unless the version has each output that is wanted, and each is wanted once."""
    if not inference.wanted:
        return
    specs = _specs(manifest)
    seen: set[str] = set()
    for wanted in inference.wanted:
        if wanted.name not in specs:
            raise invalid(f"unexpected inference output {wanted.name[:80]!r} for model {manifest.model!r}")
        if wanted.name in seen:
            raise invalid(f"output {wanted.name[:80]!r} already exists in request")
        if wanted.classes:
            check_classifiable(specs[wanted.name])
        seen.add(wanted.name)


def encode_answer(inference: Inference, prediction: Prediction) -> Response:
    """The outputs that were asked for."""
    manifest = prediction.manifest
    blobs: list[bytes] = []
    outputs = [_output(wanted, array, blobs) for wanted, array in wanted_arrays(inference, prediction)]
    if len(blobs) == len(outputs):
        described = _describe_again(manifest.model, manifest.version, tuple(outputs))
    else:
        described = _describe(manifest.model, manifest.version, outputs)
    id_ = b'"id":%b,' % orjson.dumps(inference.id) if inference.id else b""
    head, tail = b"{%b%b" % (id_, described), b"".join(blobs)
    if not tail:
        return Response(body=head)
    headers = ((b"inference-header-content-length", b"%d" % len(head)),)
    return Response(body=head + tail, content_type=_BINARY, headers=headers)


def wanted_arrays(inference: Inference, prediction: Prediction) -> list[tuple[Wanted, Array]]:
    """The outputs in the order in which they were asked for, else in the model's; or their best classes."""
    manifest = prediction.manifest
    wanted = inference.wanted or _everything(inference, manifest)
    return [(one, _best(one, prediction) if one.classes else prediction.outputs[one.name]) for one in wanted]


def _best(wanted: Wanted, prediction: Prediction) -> Array:
    manifest = prediction.manifest
    return classify(prediction.outputs[wanted.name], _specs(manifest)[wanted.name], wanted.classes, manifest.labels)


def _everything(inference: Inference, manifest: Manifest) -> list[Wanted]:
    return [Wanted(name=spec.name, is_binary=inference.is_binary) for spec in manifest.signature.outputs]


def _specs(manifest: Manifest) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in manifest.signature.outputs}


_Output = tuple[str, str, tuple[int, ...], int | bytes]
"""Name, datatype and shape of an output, and its values: as JSON, or how many bytes they are behind it."""


def _output(wanted: Wanted, array: Array, blobs: list[bytes]) -> _Output:
    """One output; bytes go to the end of `blobs`."""
    if not wanted.is_binary:
        return wanted.name, datatype_of(array), array.shape, to_json(array)
    blobs.append(to_bytes(array))
    return wanted.name, datatype_of(array), array.shape, len(blobs[-1])


def _describe(model: str, version: int, outputs: Sequence[_Output]) -> bytes:
    """The JSON behind the request's id."""
    document: dict[str, Any] = {"model_name": model, "model_version": str(version), "outputs": []}
    for name, datatype, shape, values in outputs:
        described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if isinstance(values, int):
            described["parameters"] = {"binary_data_size": values}
        else:
            described["data"] = orjson.Fragment(values)
        document["outputs"].append(described)
    return orjson.dumps(document)[1:]


_describe_again = functools.lru_cache(maxsize=256)(_describe)
"""The same, for outputs whose values are behind the JSON: nearly all answers of a version have the same."""
