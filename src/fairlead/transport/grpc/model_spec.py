"""TensorFlow Serving's ModelSpec: which model, version and signature a request is for."""

from __future__ import annotations

from fairlead.serving.target import Target
from fairlead.transport.grpc.messages import Message
from fairlead.transport.invalid import invalid

__all__ = ["fill_spec", "read_target"]


def read_target(request: Message) -> Target:
    """Whom `request` is for.

    Raises:
        FairleadError: INVALID_ARGUMENT when it does not say.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    version = spec.version.value if spec.HasField("version") else None
    label = spec.version_label if spec.HasField("version_label") else None
    return Target(model=spec.name, version=version, label=label, signature=spec.signature_name)


def fill_spec(spec: Message, model: str, version: int, signature: str = "") -> None:
    """Say in an answer who it is from. A label is never echoed."""
    spec.name = model
    spec.version.value = version
    spec.signature_name = signature
