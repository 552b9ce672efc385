"""`deploy/compose`: what it mounts exists, what it runs accepts its flags, and nothing secret stands in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.cli.prometheus import program

from fairlead.cli.serve import FLAGS as SERVE_FLAGS
from fairlead.config import Settings

from .product import settings_of
from .rule_files import DEPLOY, PROMETHEUS, load

COMPOSE = DEPLOY / "compose"
FILE: dict[str, Any] = load(COMPOSE / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build", {}).get("target")}
PROGRAMS = {
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "blackbox": "prometheus-blackbox-exporter",
}
PYPROJECT = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())
KEYS = frozenset(
    re.findall(
        r"\w+",
        """image build command environment ports volumes secrets depends_on healthcheck restart init security_opt
        cap_drop cap_add logging mem_limit shm_size stop_grace_period""",
    )
)
"""Those of Compose's specification that are used; what it does not know it would refuse."""


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    """What is mounted, and where to."""
    return [(one.split(":")[0], one.split(":")[1]) for one in service.get("volumes", [])]


def test_it_has_every_part() -> None:
    """And each of them only has keys that Compose knows."""
    wanted = {"fairlead", "controller", "tensorboard", "mlflow", "postgres"}
    assert set(SERVICES) == wanted | {"prometheus", "alertmanager", "blackbox", "grafana", "jaeger"}
    assert set(FILE) == {"name", "services", "volumes", "secrets", "x-service", "x-environment"}
    for service in SERVICES.values():
        assert set(service) <= KEYS


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists(name: str) -> None:
    """Files stand in the repository, volumes and secrets are declared, and nothing is declared in vain."""
    service = SERVICES[name]
    for source, _ in mounts(service):
        assert (COMPOSE / source).exists() if source.startswith(".") else source in FILE["volumes"]
    assert set(service.get("secrets", [])) <= set(FILE["secrets"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(FILE["volumes"]) == {
        source for one in SERVICES.values() for source, _ in mounts(one) if not source.startswith(".")
    }


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_bounded_and_has_no_rights_that_it_does_not_need(name: str) -> None:
    """Memory, logs and capabilities; ports are the loopback's."""
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["restart"] == "unless-stopped"
    assert {"max-size", "max-file"} == set(service["logging"]["options"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not service.get("cap_add") or name == "postgres"


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    """By a whole version; what is built has a recipe, and the versions that are tested here."""
    service = SERVICES[name]
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"])
    if build := service.get("build"):
        recipe = COMPOSE / build["context"] / build["dockerfile"]
        assert service["image"].endswith((PYPROJECT["project"]["version"], ":3.17.2"))
        stages = re.findall(r"^FROM \S+ AS (\w+)$", recipe.read_text(), re.MULTILINE)
        assert build.get("target") in (stages or [None])
    mlflow = (DEPLOY / "container" / "mlflow.Dockerfile").read_text()
    assert re.findall(r"mlflow==([\d.]+)", mlflow) == re.findall(
        r"mlflow-skinny==([\d.]+)", str(PYPROJECT["project"]["optional-dependencies"]["train"])
    )


@pytest.mark.parametrize("name", OURS)
def test_our_commands_take_their_flags_and_settings(name: str) -> None:
    """The verb's own parser accepts the command, and every FAIRLEAD_ variable is a setting that can be read."""
    settings_of(OURS[name]["command"], OURS[name].get("environment", {}))


def test_ports_are_the_defaults() -> None:
    """Nobody has to look up which is which."""
    settings = Settings.read({})
    published = {
        name: [int(port.split(":")[1]) for port in service.get("ports", [])] for name, service in SERVICES.items()
    }
    assert published["fairlead"] == [settings.rest_port, settings.grpc_port, settings.management_port]
    assert published["tensorboard"] == [settings.tensorboard_port]
    assert "rest_port" in SERVE_FLAGS
    for service in SERVICES.values():
        for port in service.get("ports", []):
            _, host, container = port.split(":")
            assert host == container


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_others_take_their_flags_too(name: str) -> None:
    """As the programs themselves list them."""
    help_text = subprocess.run([program(PROGRAMS[name]), "--help"], capture_output=True, text=True, check=False)
    said = help_text.stdout + help_text.stderr
    for flag in SERVICES[name]["command"]:
        assert re.search(rf"{re.escape(flag.split('=')[0])}[=\s]", said), flag


def test_mlflow_takes_its_flags() -> None:
    """As MLflow lists them; where its database is stands in the environment."""
    help_text = subprocess.run([sys.executable, "-m", "mlflow", "server", "--help"], capture_output=True, check=True)
    said = help_text.stdout.decode()
    for flag in SERVICES["mlflow"]["command"]:
        assert re.search(rf"^ +{flag.split('=')[0]}\b", said, re.MULTILINE) or f"{flag.split('=')[0]}," in said, flag
    assert "MLFLOW_BACKEND_STORE_URI" in SERVICES["mlflow"]["environment"]


def test_the_configurations_are_those_that_are_tested() -> None:
    """Prometheus, Alertmanager, the exporter and Grafana read the files that the other tests run."""
    assert (COMPOSE / "../prometheus").resolve() == PROMETHEUS
    for name, flag, file in (
        ("prometheus", "--config.file", "prometheus.yml"),
        ("alertmanager", "--config.file", "alertmanager.yml"),
        ("blackbox", "--config.file", "blackbox.yml"),
    ):
        (given,) = (one.split("=")[1] for one in SERVICES[name]["command"] if one.startswith(flag))
        source, target = next((s, t) for s, t in mounts(SERVICES[name]) if given.startswith(t))
        assert (COMPOSE / source / Path(given).relative_to(target)).resolve() == PROMETHEUS / file
    provider = load(DEPLOY / "grafana" / "provisioning" / "dashboards" / "fairlead.yml")["providers"][0]
    assert ("../grafana/dashboards", provider["options"]["path"]) in mounts(SERVICES["grafana"])
    assert ("../grafana/provisioning", "/etc/grafana/provisioning") in mounts(SERVICES["grafana"])
    alerts = (PROMETHEUS / "alertmanager.yml").read_text()
    assert set(re.findall(r"/run/secrets/(\w+)", alerts)) == set(SERVICES["alertmanager"]["secrets"])
    scrapes = (PROMETHEUS / "prometheus.yml").read_text()
    environment = SERVICES["fairlead"]["environment"]
    assert (
        re.findall(r"/run/secrets/(\w+)", scrapes)
        == SERVICES["prometheus"]["secrets"]
        == SERVICES["fairlead"]["secrets"]
    )
    assert environment["METRICS_KEY_FILE"] == f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}"
    assert environment["API_KEY"].startswith("${API_KEY:?")


def test_everyone_finds_the_others() -> None:
    """Each address that a configuration names is a service, at the port that it has."""
    ports = {"prometheus": 9090, "alertmanager": 9093, "blackbox": 9115, "fairlead": 8502, "mlflow": 5000}
    jobs = {job["job_name"]: job for job in load(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
    assert jobs["fairlead"]["static_configs"] == [{"targets": [f"fairlead:{ports['fairlead']}"]}]
    assert jobs["certificates"]["relabel_configs"][-1]["replacement"] == f"blackbox:{ports['blackbox']}"
    managers = load(PROMETHEUS / "prometheus.yml")["alerting"]["alertmanagers"]
    assert managers == [{"static_configs": [{"targets": [f"alertmanager:{ports['alertmanager']}"]}]}]
    sources = load(DEPLOY / "grafana" / "provisioning" / "datasources" / "fairlead.yml")["datasources"]
    assert {source["url"] for source in sources} == {"http://prometheus:9090", "http://jaeger:16686"}
    assert SERVICES["controller"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    for name in ("prometheus", "alertmanager", "mlflow"):
        assert any(port.endswith(f":{ports[name]}") for port in SERVICES[name]["ports"])
    hosts = {
        found
        for service in SERVICES.values()
        for value in service.get("environment", {}).values()
        for found in re.findall(r"://(?:\w+@)?([a-z]+)", str(value))
    }
    assert hosts <= set(SERVICES)


def test_nothing_secret_stands_in_it() -> None:
    """Passwords and addresses come from the environment, have no default, and their example is empty."""
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), key
    wanted = set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yaml").read_text()))
    wanted |= {secret["environment"] for secret in FILE["secrets"].values()}
    example = re.findall(r"^(\w+)=(.*)$", (COMPOSE / "example.env").read_text(), re.MULTILINE)
    assert dict(example) == dict.fromkeys(wanted, "")
    assert "/deploy/compose/.env" in (DEPLOY.parent / ".gitignore").read_text()


def test_tensorboard_is_a_unit_of_its_own() -> None:
    """Its own memory and its own volume: whatever becomes of it, predictions are answered."""
    board = SERVICES["tensorboard"]
    assert mounts(board) == [("training", "/var/lib/fairlead/tensorboard")]
    assert "training" not in dict(mounts(SERVICES["fairlead"]))
    assert not {name for name, service in SERVICES.items() if "tensorboard" in service.get("depends_on", {})}
    assert "depends_on" not in SERVICES["fairlead"]
