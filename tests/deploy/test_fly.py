"""`deploy/fly`: keys that Fly knows, and commands, settings, ports, probes and pages that Fairlead has."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from tests.cli.conftest import Server

from fairlead.config import Settings

from .product import longest_leave_s, page_of, settings_of
from .rule_files import DEPLOY
from .schema import faults

FLY = DEPLOY / "fly"
FILES: dict[str, dict[str, Any]] = {path.name: tomllib.loads(path.read_text()) for path in sorted(FLY.glob("*.toml"))}
SERVERS = ["fly.toml", "fly.staging.toml", "fly.dev.toml"]
PRIVATE = ["controller.fly.toml", "tensorboard.fly.toml"]
DEFAULTS = Settings.read({})
DURATION = r"\d+[sm]"
CHECK = {"method": "GET", "path": r"/.*", "interval": DURATION, "timeout": DURATION, "grace_period": DURATION}
SCHEMA: dict[str, Any] = {
    "app": r"[a-z-]+",
    "primary_region": r"[a-z]{3}",
    "kill_signal": "SIGTERM|SIGINT",
    "kill_timeout": DURATION,
    "build": {"dockerfile": ".+", "build-target": "serve|controller|tensorboard"},
    "deploy": {"strategy": "rolling|immediate|canary|bluegreen", "max_unavailable": int, "wait_timeout": DURATION},
    "processes": {"app": ".+"},
    "env": dict,
    "mounts": [
        {
            "source": r"[a-z0-9_]{1,30}",
            "destination": "/.+",
            "initial_size": r"\d+gb",
            "auto_extend_size_threshold": int,
            "auto_extend_size_increment": r"\d+GB",
            "auto_extend_size_limit": r"\d+GB",
        }
    ],
    "services": [
        {
            "internal_port": int,
            "protocol": "tcp",
            "auto_stop_machines": "off|stop|suspend",
            "auto_start_machines": bool,
            "min_machines_running": int,
            "concurrency": {"type": "requests|connections", "soft_limit": int, "hard_limit": int},
            "ports": [{"port": int, "handlers": list, "force_https": bool, "tls_options": {"alpn": list}}],
            "http_checks": [CHECK],
            "tcp_checks": [{"interval": DURATION, "timeout": DURATION, "grace_period": DURATION}],
        }
    ],
    "checks": {"live": {"type": "http", "port": int, **CHECK}},
    "metrics": [{"port": int, "path": r"/.*"}],
    "restart": [{"policy": "always|never|on-failure"}],
    "vm": [{"size": r"(shared|performance)-cpu-\dx", "memory": r"\d+mb"}],
}
"""The keys of Fly's reference that are used, and what their values look like."""
VARIES = {
    "app",
    "deploy.strategy",
    "deploy.max_unavailable",
    "env.FAIRLEAD_ENV",
    "services.0.min_machines_running",
    "services.1.min_machines_running",
}
"""What staging and development have of their own."""


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """Every leaf by its path."""
    if not isinstance(value, dict | list):
        return {where: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {path: leaf for key, one in items for path, leaf in flat(one, f"{where}.{key}".lstrip(".")).items()}


def seconds(duration: str) -> int:
    """Of a duration as Fly writes it."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def settings(name: str) -> Settings:
    """What the process of this app goes by."""
    return settings_of(FILES[name]["processes"]["app"].split(), FILES[name]["env"])


@pytest.mark.parametrize("name", FILES)
def test_fly_knows_every_key(name: str) -> None:
    """And each value looks as Fly's reference says."""
    assert faults(FILES[name], SCHEMA) == []


def test_a_misspelt_key_and_a_wrong_value_are_found() -> None:
    """The schema is one that something can fail."""
    bad = FILES["fly.toml"] | {"kill_timout": "5s", "kill_timeout": 5}
    assert faults(bad, SCHEMA) == [".kill_timout is not known", ".kill_timeout is 5"]


@pytest.mark.parametrize("name", FILES)
def test_the_image_and_the_volume_are_there(name: str) -> None:
    """The recipe has the target, and what is written lies on the volume."""
    build, (mount,) = FILES[name]["build"], FILES[name]["mounts"]
    assert (FLY / build["dockerfile"]).exists()
    assert f" AS {build['build-target']}\n" in (FLY / build["dockerfile"]).read_text()
    assert str(settings(name).home) == mount["destination"]
    assert f"FAIRLEAD_HOME={mount['destination']}" in (FLY / build["dockerfile"]).read_text()


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_drains_before_it_is_killed(name: str) -> None:
    """Fly waits longer than Fairlead takes, and Fly's proxy has time to hear of it."""
    assert FILES[name]["kill_signal"] == "SIGTERM"
    assert seconds(FILES[name]["kill_timeout"]) > longest_leave_s(settings(name))
    assert settings(name).drain_delay_s > 0


@pytest.mark.parametrize("name", SERVERS)
def test_services_are_the_ports_that_are_served(name: str) -> None:
    """REST and gRPC, of all addresses; management is the private network's, whose Prometheus has no key to show."""
    assert [one["internal_port"] for one in FILES[name]["services"]] == [DEFAULTS.rest_port, DEFAULTS.grpc_port]
    assert (settings(name).host, settings(name).management_host, settings(name).open) == ("::", "::", ("metrics",))
    assert (settings(name).rest_port, settings(name).grpc_port) == (DEFAULTS.rest_port, DEFAULTS.grpc_port)
    for service in FILES[name]["services"]:
        assert service["concurrency"]["soft_limit"] < service["concurrency"]["hard_limit"]
        assert service["concurrency"]["hard_limit"] <= settings(name).max_in_flight
    web, grpc = (service["ports"] for service in FILES[name]["services"])
    assert all(port.get("force_https") for port in web if "tls" not in port["handlers"])
    assert grpc[0]["tls_options"]["alpn"] == ["h2"]


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_kept_fits_the_volume(name: str) -> None:
    """Logs of each kind and the spool take half of it at most, so that there is room for models."""
    (mount,) = FILES[name]["mounts"]
    kinds = sum(key.startswith("keep_") and key.endswith("_logs_days") for key in Settings.__dataclass_fields__) - 1
    written = kinds * settings(name).log_bytes + settings(name).spool_bytes
    assert written <= int(mount["initial_size"].removesuffix("gb")) * 2**30 / 2
    assert FILES[name]["vm"] == [{"size": "shared-cpu-1x", "memory": "256mb"}]


@pytest.mark.parametrize("name", SERVERS)
def test_every_check_and_page_is_answered(name: str, served: Server) -> None:
    """By a live server, at the port that the file names."""
    file = FILES[name]
    pages = [(one["internal_port"], check["path"]) for one in file["services"] for check in one.get("http_checks", [])]
    pages += [(one["port"], one["path"]) for one in (*file["checks"].values(), *file["metrics"])]
    assert len(pages) == 3
    assert {page: page_of(served, *page) for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.parametrize("name", SERVERS[1:])
def test_the_environments_differ_in_what_they_must(name: str) -> None:
    """Everything else is tried in staging as it is in production."""
    here, production = flat(FILES[name]), flat(FILES["fly.toml"])
    assert {key for key in here | production if here.get(key) != production.get(key)} <= VARIES
    assert here["app"] == f"fairlead-{here['env.FAIRLEAD_ENV']}" == f"fairlead-{name.split('.')[1]}"


@pytest.mark.parametrize("name", PRIVATE)
def test_what_asks_nobody_for_a_password_is_private(name: str) -> None:
    """The controller and TensorBoard have no services, and so no address outside of the private network."""
    assert "services" not in FILES[name]
    for check in FILES[name].get("checks", {}).values():
        assert check["port"] == settings(name).tensorboard_port


def test_no_secret_stands_in_a_file() -> None:
    """Addresses of databases and trackers, which have passwords in them, are Fly's secrets."""
    for file in FILES.values():
        assert not {"FAIRLEAD_DATABASE_URL", "MLFLOW_TRACKING_URI"} & set(file["env"])


def test_a_machine_that_is_run_by_hand_is_the_same() -> None:
    """`fly machine run` of the page has the ports, the volume and the settings of `fly.toml`."""
    page = (DEPLOY.parent / "docs" / "deploy-fly.md").read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^ {4}fly machine run (.*)$", page, re.MULTILINE)
    file = FILES["fly.toml"]
    (mount,), (vm,) = file["mounts"], file["vm"]
    assert dict(re.findall(r"--env (\w+)=(\S+)", command)) == file["env"]
    assert f"--volume {mount['source']}:{mount['destination']}" in command
    assert f"--vm-size {vm['size']} --vm-memory {vm['memory'].removesuffix('mb')}" in command
    assert file["processes"]["app"] in command
    ports = {
        f"{port['port']}:{one['internal_port']}/tcp:{':'.join(port['handlers'])}"
        for one in file["services"]
        for port in one["ports"]
    }
    assert set(re.findall(r"--port (\S+)", command)) == ports
