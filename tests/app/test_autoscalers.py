"""The doctor refuses an autoscaler that nothing bounds, whichever it is, and says where its maximum belongs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.deploy.test_kubernetes import built

from fairlead.app.doctor.autoscalers import autoscalers
from fairlead.app.doctor.finding import Finding, Health
from fairlead.cli.main import main

DEPLOY = Path(__file__).parents[2] / "deploy"
HPA = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: "
KEDA = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web}\nspec: "
KSERVE = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: web}\nspec: {predictor: "
KNATIVE = (
    "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web}\n"
    "spec: {template: {metadata: {annotations: "
)


def look(tmp_path: Path, text: str) -> list[Finding]:
    """What is found in a file of that text."""
    path = tmp_path / "pods.yaml"
    path.write_text(text)
    return list(autoscalers(path))


@pytest.mark.parametrize(
    ("without", "bounded", "field"),
    [
        (f"{HPA}{{minReplicas: 2}}", f"{HPA}{{maxReplicas: 5}}", "spec.maxReplicas"),
        (f"{HPA}{{maxReplicas: 0}}", f"{HPA}{{maxReplicas: 5}}", "spec.maxReplicas"),
        (f"{HPA}{{maxReplicas: many}}", f"{HPA}{{maxReplicas: 5}}", "spec.maxReplicas"),
        (f"{KEDA}{{}}", f"{KEDA}{{maxReplicaCount: 5}}", "spec.maxReplicaCount"),
        (f"{KSERVE}{{minReplicas: 1}}}}", f"{KSERVE}{{maxReplicas: 5}}}}", "spec.predictor.maxReplicas"),
        (f"{KSERVE}{{maxReplicas: 0}}}}", f"{KSERVE}{{maxReplicas: 5}}}}", "spec.predictor.maxReplicas"),
        (f"{KNATIVE}{{}}}}}}}}", f'{KNATIVE}{{autoscaling.knative.dev/maxScale: "5"}}}}}}}}', "max-scale"),
        (f'{KNATIVE}{{autoscaling.knative.dev/max-scale: "0"}}}}}}}}', f"{HPA}{{maxReplicas: 5}}", "max-scale"),
    ],
)
def test_an_autoscaler_has_a_maximum(tmp_path: Path, without: str, bounded: str, field: str) -> None:
    """One without, or with one that bounds nothing, is a failure that names the field; one with is well."""
    (found,) = look(tmp_path, without)
    assert (found.health, field in found.hint) == (Health.FAILED, True)
    (found,) = look(tmp_path, bounded)
    assert (found.health, found.message) == (Health.OK, "at most 5 replicas")


def test_every_autoscaler_of_a_file_is_looked_at(tmp_path: Path) -> None:
    """Of several documents, and of a list as `kubectl get` prints it."""
    one, other = f"{HPA}{{maxReplicas: 5}}", f"{KEDA}{{}}"
    assert [found.health for found in look(tmp_path, f"{one}\n---\n{other}\n---\n")] == [Health.OK, Health.FAILED]
    several = yaml.safe_dump({"kind": "List", "items": [yaml.safe_load(one), yaml.safe_load(other)]})
    assert [found.health for found in look(tmp_path, several)] == [Health.OK, Health.FAILED]


@pytest.mark.parametrize(("text", "said"), [("a: b: c", "mapping values are not allowed"), ("{", "expected")])
def test_what_is_no_yaml_is_told(tmp_path: Path, text: str, said: str) -> None:
    """With the reason, and how such a file is made."""
    (found,) = look(tmp_path, text)
    assert found.health is Health.FAILED
    assert said in found.message
    assert "kubectl kustomize" in found.hint
    assert [one.message for one in look(tmp_path, "kind: Pod\n---\n- 1\n")] == ["no autoscaler in it"]


def test_the_command_fails_for_an_autoscaler_without_a_maximum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1; a file that is not there is told as well."""
    path = tmp_path / "pods.yaml"
    path.write_text(f"{HPA}{{minReplicas: 2}}")
    flags = ["--home", str(tmp_path / "home"), "--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]
    assert main(["doctor", *flags, "--manifests", str(path), "--manifests", str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr().out
    assert "FAIL  HorizontalPodAutoscaler web: the autoscaler has no maximum" in said
    assert f"no manifests can be read from {tmp_path / 'nowhere'}" in said


def test_our_own_manifests_pass(tmp_path: Path) -> None:
    """Kubernetes in every environment, KServe, Cloud Run."""
    overlays = [yaml.safe_dump_all(built(overlay.name)) for overlay in (DEPLOY / "kubernetes" / "overlays").iterdir()]
    kserve = (DEPLOY / "kubernetes" / "kserve" / "inference-service.yaml").read_text()
    for text in (*overlays, kserve, (DEPLOY / "cloud-run" / "service.yaml").read_text()):
        found = look(tmp_path, text)
        assert found
        assert {one.health for one in found} == {Health.OK}
        assert all("at most" in one.message for one in found)
