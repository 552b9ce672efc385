"""KServe: a store with the version in it, an InferenceService for it, and Fairlead as the runtime that serves it."""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path
from string import Template

from fairlead.exporting.target import Source, proven
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.store.store import Store

__all__ = ["write_kserve"]

_TEMPLATE = Path(__file__).with_name("kserve.yaml")
_MAX_NAME = 63


def write_kserve(source: Source, target: Path) -> float:
    """Write the version as it was published, check every byte, and ask it; see `Target.write`.

    Raises:
        FairleadError: DATA_LOSS for what changed on its way, FAILED_PRECONDITION when it answers something else.
    """
    id_ = source.manifest.id
    name = _service_name(id_.model)
    shutil.copytree(source.directory, target / "models" / id_.model / str(id_.version))
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        version=str(id_),
        name=name,
        uri=json.dumps(source.storage_uri or f"s3://models/{name}"),
        release=metadata.version("fairlead"),
    )
    (target / "kserve.yaml").write_text(text, encoding="utf-8")
    servable, _ = open_model(Store(target / "models").open(id_).directory / MODEL_FILE)
    return proven(source, servable.predict(source.golden.inputs), "the copied version")


def _service_name(model: str) -> str:
    """The model's name as Kubernetes allows it: small letters, digits and hyphens, a letter first."""
    name = re.sub(r"[^a-z0-9-]", "-", model.lower())
    return (name if name[0].isalpha() else f"m-{name}")[:_MAX_NAME].rstrip("-")
