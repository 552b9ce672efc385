"""A prediction as the answer to `infer`: JSON, and behind it the outputs that are wanted as bytes."""

from __future__ import annotations

from collections.abc import Iterator
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
    outputs: list[bytes] = []
    blobs: list[bytes] = []
    for wanted, array in wanted_arrays(inference, prediction):
        outputs.append(_output(wanted, array, blobs))
    return _response(_head(inference, prediction.manifest, outputs), b"".join(blobs))


def wanted_arrays(inference: Inference, prediction: Prediction) -> Iterator[tuple[Wanted, Array]]:
    """The outputs in the order in which they were asked for, else in the model's; or their best classes."""
    manifest = prediction.manifest
    for wanted in inference.wanted or _everything(inference, manifest):
        array = prediction.outputs[wanted.name]
        if wanted.classes:
            array = classify(array, _specs(manifest)[wanted.name], wanted.classes, manifest.labels)
        yield wanted, array


def _everything(inference: Inference, manifest: Manifest) -> list[Wanted]:
    return [Wanted(name=spec.name, is_binary=inference.is_binary) for spec in manifest.signature.outputs]


def _specs(manifest: Manifest) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in manifest.signature.outputs}


def _output(wanted: Wanted, array: Array, blobs: list[bytes]) -> bytes:
    """One output; bytes go to the end of `blobs`."""
    described: dict[str, Any] = {"name": wanted.name, "datatype": datatype_of(array), "shape": array.shape}
    if wanted.is_binary:
        blobs.append(to_bytes(array))
        return orjson.dumps(described | {"parameters": {"binary_data_size": len(blobs[-1])}})
    return b'%b,"data":%b}' % (orjson.dumps(described)[:-1], to_json(array))


def _head(inference: Inference, manifest: Manifest, outputs: list[bytes]) -> bytes:
    named = {"model_name": manifest.model, "model_version": str(manifest.version)}
    echoed = {"id": inference.id} if inference.id else {}
    return b'%b,"outputs":[%b]}' % (orjson.dumps(echoed | named)[:-1], b",".join(outputs))


def _response(head: bytes, tail: bytes) -> Response:
    if not tail:
        return Response(body=head)
    headers = ((b"inference-header-content-length", b"%d" % len(head)),)
    return Response(body=head + tail, content_type=_BINARY, headers=headers)
