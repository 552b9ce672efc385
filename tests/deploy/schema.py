"""Whether a file's keys and values are those that its reader knows: what is misspelt would be ignored, or refused."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from typing import Any

import kubernetes.client
from pydantic import BaseModel, ValidationError

_KUBERNETES = {
    "v1": "V1",
    "apps/v1": "V1",
    "autoscaling/v2": "V2",
    "networking.k8s.io/v1": "V1",
    "policy/v1": "V1",
}
_KSERVE = {"serving.kserve.io/v1alpha1": "V1alpha1", "serving.kserve.io/v1beta1": "V1beta1"}
_KSERVE_FIELDS = """
import json, kserve
models = {name: model for name, model in vars(kserve).items() if hasattr(model, "attribute_map")}
print(json.dumps({n: {wire: m.openapi_types[own] for own, wire in m.attribute_map.items()} for n, m in models.items()}))
"""
_SERVICE_MONITOR = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "spec": {
        "jobLabel": str,
        "selector": {"matchLabels": dict},
        "endpoints": [
            {
                "port": str,
                "path": r"/.*",
                "interval": r"\d+s",
                "authorization": {"type": str, "credentials": {"name": str, "key": str, "optional": bool}},
            }
        ],
    },
}


def faults(value: Any, schema: Any, where: str = "") -> list[str]:
    """What does not fit, each with its place.

    Args:
        value: as it was read.
        schema: a dictionary of the keys that are known, a list with the schema of each item, an expression that a whole
            text has to match, or a type.
        where: the place of the value.
    """
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{where} is {value!r}"]
        unknown = [f"{where}.{key} is not known" for key in value if key not in schema]
        return unknown + [
            f for key in value if key in schema for f in faults(value[key], schema[key], f"{where}.{key}")
        ]
    if isinstance(schema, list):
        return [f for one in value for f in faults(one, schema[0], where)]
    if isinstance(schema, str):
        fits = isinstance(value, str) and re.fullmatch(schema, value) is not None
    else:
        fits = isinstance(value, schema)
    return [] if fits else [f"{where} is {value!r}"]


def kubernetes_faults(document: dict[str, Any]) -> list[str]:
    """What Kubernetes' own models do not know or take of a document, and KServe's of theirs."""
    version, kind = document["apiVersion"], document["kind"]
    if version in _KUBERNETES:
        return model_faults(document, _KUBERNETES[version] + kind)
    if version in _KSERVE:
        return _kserve_faults(document, _KSERVE[version] + kind, "")
    assert (version, kind) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    return faults(document, _SERVICE_MONITOR)


def model_faults(value: Any, name: str, where: str = "") -> list[str]:
    """What the model of that name, of Kubernetes' client, does not know or take."""
    model: type[BaseModel] = getattr(kubernetes.client, name)
    try:
        model.model_validate_json(json.dumps(value), strict=True, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        return [f"{where}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


def _kserve_faults(value: Any, name: str, where: str) -> list[str]:
    """By the model of that name, which is KServe's or Kubernetes'; KServe's tell what they know and check nothing."""
    if found := re.fullmatch(r"list\[(\w+)\]", name):
        return [f for n, one in enumerate(value) for f in _kserve_faults(one, found[1], f"{where}.{n}")]
    if not name.startswith("V1"):
        types = {"str": str, "int": int, "bool": bool}
        return faults(value, types.get(name, dict), where)
    known = _kserve_models().get(name)
    if known is None:
        return model_faults(value, name, where)
    found_unknown = [f"{where}.{key} is not known" for key in value if key not in known]
    return found_unknown + [f for k in value if k in known for f in _kserve_faults(value[k], known[k], f"{where}.{k}")]


@functools.cache
def _kserve_models() -> dict[str, dict[str, str]]:
    """Fields and types of KServe's models, told by a process of its own: protobuf takes each message but once."""
    done = subprocess.run([sys.executable, "-c", _KSERVE_FIELDS], capture_output=True, timeout=60, check=True)
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found
