"""`deploy/kubernetes`: each environment as kustomize builds it, held strictly against Kubernetes' own models."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.conftest import Server, starting

from fairlead.app.metric_catalogue import SECTIONS
from fairlead.config import Settings
from fairlead.testing import write_digit_model

from .product import KEY, longest_leave_s, page_of, settings_of
from .rule_files import DEPLOY, load
from .schema import kubernetes_faults

KUBERNETES = DEPLOY / "kubernetes"
BUCKET = "prod-bucket"
ENVIRONMENTS = ["dev", "staging", "prod", BUCKET]
MOST = {"dev": 2, "staging": 4, "prod": 10, BUCKET: 10}
KINDS = {
    "Namespace": 1,
    "ServiceAccount": 1,
    "ConfigMap": 1,
    "PersistentVolumeClaim": 2,
    "Deployment": 2,
    "Service": 1,
    "Ingress": 1,
    "HorizontalPodAutoscaler": 1,
    "PodDisruptionBudget": 1,
    "NetworkPolicy": 3,
    "ServiceMonitor": 1,
}
DEFAULTS = Settings.read({})
PORTS = {"rest": DEFAULTS.rest_port, "grpc": DEFAULTS.grpc_port, "management": DEFAULTS.management_port}
IMAGE = (DEPLOY / "container" / "Dockerfile").read_text()
Document = dict[str, Any]


def kubectl() -> str:
    """Where it is, with a kustomize that knows what the overlays use; Debian's own has none before 13."""
    path = shutil.which("kubectl")
    if path is not None:
        said = subprocess.run(
            [path, "version", "--client", "--output=json"], capture_output=True, timeout=60, check=True
        )
        if json.loads(said.stdout).get("kustomizeVersion", "v0") >= "v5":
            return path
    pytest.skip("kubectl 1.27 or newer is not installed")


@functools.cache
def built(environment: str) -> list[Document]:
    """What `kubectl apply -k` would send."""
    command = [kubectl(), "kustomize", str(KUBERNETES / "overlays" / environment)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(environment: str, kind: str, name: str = "") -> Document:
    """The only document of that kind, or the one with that name."""
    (found,) = (doc for doc in built(environment) if doc["kind"] == kind and name in ("", doc["metadata"]["name"]))
    return found


def pods(environment: str) -> dict[str, tuple[Document, Document]]:
    """Labels and specification of the pods of each Deployment."""
    templates = {d["metadata"]["name"]: d["spec"]["template"] for d in built(environment) if d["kind"] == "Deployment"}
    return {name: (template["metadata"]["labels"], template["spec"]) for name, template in templates.items()}


def container(environment: str, name: str) -> Document:
    """The only one of a Deployment's pods."""
    (found,) = pods(environment)[name][1]["containers"]
    return dict(found)


def settings(environment: str, name: str) -> Settings:
    """What the process in that container goes by; what comes of a secret is left out."""
    found = container(environment, name)
    (source,) = found["envFrom"]
    shared = one(environment, "ConfigMap", source["configMapRef"]["name"])["data"]
    own = {variable["name"]: variable["value"] for variable in found["env"] if "value" in variable}
    return settings_of(found["args"], shared | own)


def probes(spec: Document) -> Iterator[tuple[int, str]]:
    """Port and path of each probe of a container."""
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        if name in spec:
            get = spec[name]["httpGet"]
            yield ports.get(get["port"], get["port"]), get["path"]


def mebibytes(quantity: str) -> int:
    """Of a quantity in Mi or Gi."""
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kubernetes_knows_every_field(environment: str) -> None:
    """And takes every value; nothing is missing that an environment has, and all of it is in its namespace."""
    documents = built(environment)
    assert [fault for document in documents for fault in kubernetes_faults(document)] == []
    kinds = [document["kind"] for document in documents]
    assert {kind: kinds.count(kind) for kind in kinds} == KINDS | (
        {"PersistentVolumeClaim": 1} if environment == BUCKET else {}
    )
    namespace = one(environment, "Namespace")["metadata"]["name"]
    which = environment.removesuffix("-bucket")
    assert namespace == ("fairlead" if which == "prod" else f"fairlead-{which}")
    assert {d["metadata"]["namespace"] for d in documents if d["kind"] != "Namespace"} == {namespace}
    assert settings(environment, "fairlead-server").env == which
    assert settings(environment, "fairlead-controller").env == which


@pytest.mark.parametrize(
    ("kind", "path", "key", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0), "readynessProbe", {}),
        ("Deployment", ("spec", "template", "spec"), "termination_grace_period_seconds", 60),
        ("Deployment", ("spec",), "selector", None),
        ("HorizontalPodAutoscaler", ("spec",), "maxReplicas", "10"),
        ("NetworkPolicy", ("spec",), "podSelectors", {}),
        ("ServiceMonitor", ("spec",), "endpoint", []),
    ],
)
def test_a_misspelt_field_and_a_wrong_value_are_found(kind: str, path: tuple[str, ...], key: str, value: Any) -> None:
    """The check is one that something can fail."""
    document = copy.deepcopy(next(doc for doc in built("prod") if doc["kind"] == kind))
    assert kubernetes_faults(document) == []
    place = functools.reduce(lambda inner, step: inner[step], path, document)
    place[key] = value
    (fault,) = kubernetes_faults(document)
    assert key in fault


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ["fairlead-server", "fairlead-controller"])
def test_pods_have_no_rights_that_they_do_not_need(environment: str, name: str) -> None:
    """The image's own user, no token, no capability, nothing to write to but what is mounted, and bounded."""
    _, spec = pods(environment)[name]
    assert f"useradd --uid {spec['securityContext']['runAsUser']} " in IMAGE
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == one(environment, "ServiceAccount")["metadata"]["name"]
    found = container(environment, name)
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    requests, limits = found["resources"]["requests"], found["resources"]["limits"]
    assert mebibytes(requests["memory"]) <= mebibytes(limits["memory"])
    assert set(requests) == set(limits) == {"cpu", "memory"}
    assert found["image"].endswith(":0.1.0")
    writable = {mount["mountPath"] for mount in found["volumeMounts"] if not mount.get("readOnly")}
    assert {str(settings(environment, name).home), "/tmp"} <= writable


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_that_is_referred_to_is_there(environment: str) -> None:
    """Claims, ports, Services and pods; secrets come from outside, and few have to."""
    claims = {d["metadata"]["name"] for d in built(environment) if d["kind"] == "PersistentVolumeClaim"}
    used = set()
    for name, (_, spec) in pods(environment).items():
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container(environment, name)["volumeMounts"]} == set(volumes)
        used |= {v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v}
        secrets = [e["valueFrom"]["secretKeyRef"] for e in container(environment, name)["env"] if "valueFrom" in e]
        needed = ["database-url"] + (["metrics-key"] if name == "fairlead-server" else [])
        assert [s["key"] for s in secrets if not s.get("optional")] == needed
    assert KEY in {variable["name"] for variable in container(environment, "fairlead-server")["env"]}
    assert used == claims
    service = one(environment, "Service")
    (rule,) = one(environment, "Ingress")["spec"]["rules"]
    (tls,) = one(environment, "Ingress")["spec"]["tls"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], tls["hosts"]) == (service["metadata"]["name"], [rule["host"]])
    assert backend["port"]["name"] == "rest"
    monitor = one(environment, "ServiceMonitor")["spec"]
    assert [e["authorization"]["credentials"]["key"] for e in monitor["endpoints"]] == ["metrics-key"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "fairlead"
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_selectors_select_the_pods_that_are_meant(environment: str) -> None:
    """Those of Deployments, the Service, the budget and the policies."""
    labels = {name: pod for name, (pod, _) in pods(environment).items()}
    wanted: list[tuple[Document, set[str]]] = [
        (one(environment, "Service")["spec"]["selector"], {"fairlead-server"}),
        (one(environment, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], {"fairlead-server"}),
        (one(environment, "NetworkPolicy", "fairlead-nothing")["spec"]["podSelector"], set(labels)),
    ]
    for name in labels:
        wanted += [
            (one(environment, "Deployment", name)["spec"]["selector"]["matchLabels"], {name}),
            (one(environment, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"], {name}),
        ]
    for selector, names in wanted:
        assert {name for name, pod in labels.items() if selector.items() <= pod.items()} == names


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_ports_are_those_that_are_served(environment: str) -> None:
    """Of all addresses; management is open to the monitoring's namespace alone."""
    found = {port["name"]: port["containerPort"] for port in container(environment, "fairlead-server")["ports"]}
    served = settings(environment, "fairlead-server")
    assert (served.rest_port, served.grpc_port, served.management_port) == tuple(PORTS.values())
    assert (served.host, served.management_host) == ("0.0.0.0", "0.0.0.0")
    assert found == PORTS
    assert {p["targetPort"]: p["port"] for p in one(environment, "Service")["spec"]["ports"]} == PORTS
    everybody, monitoring = one(environment, "NetworkPolicy", "fairlead-server")["spec"]["ingress"]
    assert "from" not in everybody
    assert {port["port"] for port in everybody["ports"]} == {"rest", "grpc"}
    assert monitoring["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert "ingress" not in one(environment, "NetworkPolicy", "fairlead-controller")["spec"]
    assert one(environment, "NetworkPolicy", "fairlead-nothing")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_probe_and_page_is_answered(environment: str, served: Server) -> None:
    """By a live server, at the port that the manifest names."""
    pages = list(probes(container(environment, "fairlead-server")))
    assert len(pages) == 3
    pages += [(PORTS[e["port"]], e["path"]) for e in one(environment, "ServiceMonitor")["spec"]["endpoints"]]
    assert {page: page_of(served, *page) for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_rolling_update_fails_no_request(environment: str) -> None:
    """A new pod is ready before an old one leaves, which has time to drain after the others have heard of it."""
    spec = pods(environment)["fairlead-server"][1]
    assert spec["terminationGracePeriodSeconds"] > longest_leave_s(settings(environment, "fairlead-server"))
    assert settings(environment, "fairlead-server").drain_delay_s >= 5
    rolling = one(environment, "Deployment", "fairlead-server")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_autoscaler_has_an_end_and_a_metric(environment: str) -> None:
    """Of work in flight, which the servers' metrics have; and the Deployment does not say how many it wants."""
    spec = one(environment, "HorizontalPodAutoscaler")["spec"]
    target = one(environment, "Deployment", spec["scaleTargetRef"]["name"])
    assert "replicas" not in target["spec"]
    assert 1 <= spec["minReplicas"] <= spec["maxReplicas"] == MOST[environment]
    (metric,) = spec["metrics"]
    assert metric["pods"]["metric"]["name"] in {f.name for section in SECTIONS for f in section.families()}
    assert int(metric["pods"]["target"]["averageValue"]) < settings(environment, "fairlead-server").max_in_flight


@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name != BUCKET])
def test_servers_read_the_store_that_the_controller_writes(environment: str) -> None:
    """One claim, where both look for it; there is one controller, whose own volume is never two pods'."""
    mounted = {}
    for name, (_, spec) in pods(environment).items():
        (volume,) = (v["name"] for v in spec["volumes"] if str(v).count("fairlead-store"))
        mounted[name] = next(m for m in container(environment, name)["volumeMounts"] if m["name"] == volume)
        assert mounted[name]["mountPath"] == str(settings(environment, name).store_path)
    assert mounted["fairlead-server"]["readOnly"] is True
    assert "readOnly" not in mounted["fairlead-controller"]
    controller = one(environment, "Deployment", "fairlead-controller")["spec"]
    assert (controller["replicas"], controller["strategy"]) == (1, {"type": "Recreate"})
    (home,) = (v for v in pods(environment)["fairlead-server"][1]["volumes"] if v["name"] == "home")
    spool = settings(environment, "fairlead-server").spool_bytes / 2**20
    assert spool <= mebibytes(home["emptyDir"]["sizeLimit"]) / 2


def test_a_store_in_a_bucket_needs_no_shared_volume() -> None:
    """Server and controller name the same one and reach it, with credentials of their own; the copy has room."""
    names = ("fairlead-server", "fairlead-controller")
    assert {settings(BUCKET, name).bucket_url for name in names} == {"s3://your-bucket/models"}
    for name in names:
        assert {mount["name"] for mount in container(BUCKET, name)["volumeMounts"]} == {"home", "tmp"}
        (rule,) = one(BUCKET, "NetworkPolicy", name)["spec"]["egress"]
        assert {"protocol": "TCP", "port": 443} in rule["ports"]
    keys = [
        [v["valueFrom"]["secretKeyRef"]["key"] for v in container(BUCKET, name)["env"] if v["name"].startswith("AWS_")]
        for name in names
    ]
    assert keys == [["store-reader-id", "store-reader-secret"], ["store-writer-id", "store-writer-secret"]]
    (home,) = (volume for volume in pods(BUCKET)["fairlead-server"][1]["volumes"] if volume["name"] == "home")
    server = settings(BUCKET, "fairlead-server")
    assert (server.spool_bytes + 2 * server.store_cache_bytes) / 2**20 <= mebibytes(home["emptyDir"]["sizeLimit"])


@pytest.mark.parametrize("path", sorted(KUBERNETES.glob("kserve/*.yaml")), ids=lambda path: path.stem)
def test_kserve_knows_every_field(path: Path) -> None:
    """And a misspelt one is found, in KServe's own part and in Kubernetes'."""
    document = load(path)
    assert kubernetes_faults(document) == []
    spec = document["spec"]
    for place in (spec, spec["containers"][0] if "containers" in spec else spec["predictor"]):
        place["misspelt"] = 1
        assert any("misspelt" in fault for fault in kubernetes_faults(document))
        del place["misspelt"]


def test_the_runtime_serves_what_kserve_puts_there(tmp_path: Path) -> None:
    """A folder with a numbered version, under the service's name, over both protocols; and its probes are answered."""
    runtime, service = (
        load(KUBERNETES / "kserve" / f"{name}.yaml") for name in ("serving-runtime", "inference-service")
    )
    (spec,) = runtime["spec"]["containers"]
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    (tmp_path / "models" / "1").mkdir(parents=True)
    write_digit_model(tmp_path / "models" / "1", 7)
    args = [a.replace("{{.Name}}", "digits").replace("/mnt/models", str(tmp_path / "models")) for a in spec["args"]]
    environment = {variable["name"]: variable["value"] for variable in spec["env"]}
    wanted = settings_of(args, environment)
    assert (wanted.host, wanted.open) == ("0.0.0.0", ("predict", "feedback"))
    assert [port["containerPort"] for port in spec["ports"]] == [wanted.rest_port]
    flags = [*args[1:], "--open", environment["FAIRLEAD_OPEN"]]
    with starting(tmp_path) as start:
        server = start(
            tmp_path / "none", "--workers", "1", "--quiet-period-s", "0.1", "--prediction-log", "off", *flags
        )
        server.wait_ready()
        assert [page_of(server, *probe) for probe in probes(spec)] == [200, 200]
        assert server.call("GET", "/v2/models/digits/ready")[0] == 200
        assert server.call("GET", "/v1/models/digits")[0] == 200
