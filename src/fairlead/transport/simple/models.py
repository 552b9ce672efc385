"""`GET /models`: what there is to ask, and what each of it takes."""

from __future__ import annotations

from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import Catalogue
from fairlead.transport.refusal import refusal

__all__ = ["ModelList", "takes"]

_PREDICT = "tensorflow/serving/predict"


class ModelList:
    """Answers `/models`: every model, its versions that answer, their labels, and what each takes and gives.

    Args:
        catalogue: knows them.
        takes_feedback: whether labels are taken in here.
    """

    def __init__(self, catalogue: Catalogue, *, takes_feedback: bool) -> None:
        self._catalogue = catalogue
        self._takes_feedback = takes_feedback

    async def answer(self, request: Request, _call: Call) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise HttpError(
                405,
                Code.INVALID_ARGUMENT,
                f"/models does not answer {request.method[:20]}",
                hint="GET /models",
                headers=((b"allow", b"GET, HEAD"),),
            )
        models = [{"name": name, "versions": self._versions(name)} for name in self._catalogue.models()]
        return Response.of({"models": models, "default": self._default(), "feedback": self._takes_feedback})

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)

    def _default(self) -> str | None:
        try:
            return self._catalogue.default_model()
        except FairleadError:
            return None

    def _versions(self, model: str) -> list[dict[str, Any]]:
        """Those that answer, newest first."""
        labels = self._catalogue.labels(model)
        try:
            statuses = self._catalogue.statuses(model, None)
            manifests = [
                self._catalogue.describe(Target(model=model, version=status.id.version))
                for status in statuses
                if status.state is State.AVAILABLE
            ]
        except FairleadError:  # never loaded, or unloaded a moment ago
            return []
        return [
            {
                "version": manifest.version,
                "labels": [label for label, version in labels.items() if version == manifest.version],
                "takes": takes(manifest),
                "classes": manifest.labels,
                "inputs": [spec.to_json() for spec in manifest.signature.inputs],
                "outputs": [spec.to_json() for spec in manifest.signature.outputs],
            }
            for manifest in manifests
        ]


def takes(manifest: Manifest) -> str:
    """What a person would give to the version: "handwriting", a "picture", a "text", or nothing better than "rows"."""
    if manifest.transform:
        is_handwriting = str(manifest.transform.get("name", "")).startswith("handwriting-")
        return "handwriting" if is_handwriting else "picture"
    signature = manifest.signature
    is_text = [spec.dtype for spec in signature.inputs] == ["string"] and signature.method == _PREDICT
    return "text" if is_text and signature.inputs[0].shape in ((-1,), (-1, 1)) else "rows"
