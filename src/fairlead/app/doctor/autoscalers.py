"""Autoscalers in manifests: whether each has a maximum, without which a flood of requests buys machines without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead.app.doctor.finding import Finding, Health, ok
from fairlead.errors import Code, FairleadError

__all__ = ["autoscalers"]

Manifest = Mapping[str, Any]
_KNATIVE = ("autoscaling.knative.dev/max-scale", "autoscaling.knative.dev/maxScale")
_COMPONENTS = ("predictor", "transformer", "explainer")


def autoscalers(path: Path) -> Iterator[Finding]:
    """What is found in a file of Kubernetes manifests, as `kubectl kustomize` prints them.

    HorizontalPodAutoscaler, KEDA's ScaledObject, KServe's InferenceService, Knative's and Cloud Run's Service.
    """
    try:
        found = [(name, field, most) for one in _documents(path) for name, field, most in _maxima(one)]
    except FairleadError as error:
        yield Finding(name=str(path), health=Health.FAILED, message=error.message, hint=error.hint)
        return
    if not found:
        yield ok(str(path), "no autoscaler in it")
    for name, field, most in found:
        if isinstance(most, int) and most > 0:
            yield ok(name, f"at most {most} replicas")
        else:
            said = "has no maximum" if most is None else f"has the maximum {most!r}, which bounds nothing"
            yield Finding(
                name=name,
                health=Health.FAILED,
                message=f"the autoscaler {said}: a flood of requests would buy machines without end",
                hint=f"set {field} to what you are ready to pay for, in the source of {path}",
            )


def _documents(path: Path) -> Iterator[Manifest]:
    try:
        import yaml  # noqa: PLC0415 - the data plane does without
    except ImportError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "manifests are YAML, which nothing here reads",
            hint="pip install 'fairlead[control]'",
        ) from error
    try:
        documents = list(yaml.safe_load_all(path.read_bytes()))
    except (OSError, yaml.YAMLError) as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"no manifests can be read from {path}: {' '.join(str(error).split())}",
            hint=f"kubectl kustomize deploy/kubernetes/overlays/prod > {path}",
        ) from error
    for document in documents:
        if isinstance(document, dict):
            yield from document["items"] if isinstance(document.get("items"), list) else [document]


def _maxima(manifest: Manifest) -> Iterator[tuple[str, str, object]]:
    """Each autoscaler in the manifest: what it is called, the field of its maximum, and what that holds."""
    kind, group = str(manifest.get("kind")), str(manifest.get("apiVersion")).split("/")[0]
    name = f"{kind} {_in(manifest, 'metadata', 'name')}"
    match kind, group:
        case "HorizontalPodAutoscaler", _:
            yield name, "spec.maxReplicas", _in(manifest, "spec", "maxReplicas")
        case "ScaledObject", "keda.sh":
            yield name, "spec.maxReplicaCount", _in(manifest, "spec", "maxReplicaCount")
        case "InferenceService", _:
            for component in _COMPONENTS:
                if _in(manifest, "spec", component) is not None:
                    field = f"spec.{component}.maxReplicas"
                    yield f"{name}, {component}", field, _in(manifest, "spec", component, "maxReplicas")
        case "Service", "serving.knative.dev":
            annotations = _in(manifest, "spec", "template", "metadata", "annotations")
            values = (
                [annotations[key] for key in _KNATIVE if key in annotations] if isinstance(annotations, dict) else []
            )
            most = int(values[0]) if values and str(values[0]).isdecimal() else next(iter(values), None)
            yield name, f"the annotation {_KNATIVE[0]}", most
        case _:
            return


def _in(value: object, *keys: str) -> Any:
    """What is there, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
