"""A version's signatures as TensorFlow's SignatureDef messages."""

from __future__ import annotations

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.transport.grpc.messages import Message, message_class
from fairlead.transport.grpc.tensor_proto import DATA_TYPES
from fairlead.transport.tfserving.pages import INIT_OP

__all__ = ["signature_map"]

_SignatureDefMap = message_class("tensorflow.serving.SignatureDefMap")


def signature_map(manifest: Manifest) -> Message:
    """Every signature of the version, as `metadata_page` shows them over REST."""
    found = _SignatureDefMap()
    for name, signature in manifest.named_signatures.items():
        _fill(found.signature_def[name], signature)
    if manifest.init_op:
        output = found.signature_def[INIT_OP].outputs[INIT_OP]
        output.name = manifest.init_op
        output.tensor_shape.unknown_rank = True
    return found


def _fill(message: Message, signature: Signature) -> None:
    message.method_name = signature.method
    for side, specs in ((message.inputs, signature.inputs), (message.outputs, signature.outputs)):
        for spec in specs:
            _describe(side[spec.name], spec)


def _describe(info: Message, spec: TensorSpec) -> None:
    info.name = spec.node or f"{spec.name}:0"
    info.dtype = DATA_TYPES[spec.dtype]
    info.tensor_shape.unknown_rank = spec.is_unranked
    info.tensor_shape.SetInParent()
    for size in spec.shape:
        info.tensor_shape.dim.add(size=size)
