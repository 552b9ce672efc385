"""A version becomes what KServe applies and fetches, and is served from there as it is served here, texts and all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.cli.conftest import starting
from tests.clients.models import MIXED, fill
from tests.deploy.product import settings_of
from tests.deploy.rule_files import DEPLOY, load
from tests.deploy.schema import kubernetes_faults

from fairlead.app.exporting import export
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.exporting.kserve import _service_name
from fairlead.exporting.targets import TARGETS
from fairlead.store.writable_store import WritableStore


def exported(
    store: Path, folder: Path, model: str, **options: str
) -> tuple[Path, Mapping[str, Any], Mapping[str, Any]]:
    """The folder that was written, and of it the service and its runtime."""
    settings = Settings(home=folder / "home", store=store)
    path = export(settings, model, TARGETS["kserve"], folder / f"exported-{model}", **options).path
    service, runtime = yaml.safe_load_all((path / "kserve.yaml").read_text())
    return path, service, runtime


def test_kserve_knows_every_field(store: WritableStore, tmp_path: Path) -> None:
    """The service names the runtime that is beside it, the runtime is but for its store the one of `deploy`."""
    fill(store)
    _, service, runtime = exported(store.root, tmp_path, "digits", storage_uri="gs://bucket/a: b # c")

    assert kubernetes_faults(dict(service)) == kubernetes_faults(dict(runtime)) == []
    model = service["spec"]["predictor"]["model"]
    assert (service["metadata"]["name"], model["storageUri"]) == ("digits", "gs://bucket/a: b # c")
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in [known["name"] for known in runtime["spec"]["supportedModelFormats"]]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    (ours,), (plain,) = (
        each["spec"]["containers"]
        for each in (runtime, load(DEPLOY / "kubernetes" / "kserve" / "serving-runtime.yaml"))
    )
    assert {**ours, "args": ()} == {**plain, "args": ()}


def test_it_is_served_from_there_as_it_is_here(store: WritableStore, tmp_path: Path) -> None:
    """With the runtime's own arguments: the same answers, class names and version."""
    fill(store)
    path, _, runtime = exported(store.root, tmp_path, "digits")
    mixed, _, _ = exported(store.root, tmp_path, "mixed")
    (spec,) = runtime["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in spec["env"]}
    picture = json.dumps({"instances": np.full((2, 28, 28, 1), 0.5).tolist()}).encode()
    tensors = [
        {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}
        for (name, array), datatype in zip(MIXED.items(), ("FP32", "INT64", "BOOL", "BYTES"), strict=True)
    ]
    asked = json.dumps({"inputs": tensors}).encode()
    (path / "models" / "mixed").symlink_to(mixed / "models" / "mixed")  # as two services, each of which has its own
    with starting(tmp_path) as start:
        args = [argument.replace("/mnt/models", str(path / "models")) for argument in spec["args"]]
        wanted = settings_of(args, environment)
        assert (wanted.host, wanted.store) == ("0.0.0.0", path / "models")
        servers = [start(root, "--workers", "1", "--models", "digits,mixed") for root in (store.root, path / "models")]
        answers = []
        for server in servers:
            server.wait_ready()
            said = server.call("POST", "/predict?model=digits", picture, {"Content-Type": "application/json"})
            rows = [{key: row[key] for key in ("label", "proba", "probabilities")} for row in said[1]["predictions"]]
            answers.append((said[1]["version"], rows, server.call("POST", "/v2/models/mixed/infer", asked)))

    assert answers[0] == answers[1]
    assert (answers[0][0], answers[0][1][0]["label"], answers[0][2][0]) == (2, "7", 200)


@pytest.mark.parametrize(
    ("model", "name"), [("digits", "digits"), ("Spam_v2.1", "spam-v2-1"), ("3d", "m-3d"), ("a" * 62 + "._", "a" * 62)]
)
def test_the_service_has_a_name_that_kubernetes_takes(model: str, name: str) -> None:
    """Models may be called more freely."""
    assert _service_name(model) == name


def test_a_version_that_was_changed_is_not_written(store: WritableStore, tmp_path: Path) -> None:
    """Every byte is checked, and nothing is left of what was begun."""
    fill(store)
    with (store.root / "digits" / "2" / "model.onnx").open("ab") as file:
        file.write(b"\0")

    with pytest.raises(FairleadError, match="SHA-256") as caught:
        exported(store.root, tmp_path, "digits")

    assert caught.value.code is Code.DATA_LOSS
    assert not (tmp_path / "exported-digits").exists()
