"""`deploy/cloud-run`, `deploy/ecs`: keys that are known there, and commands, settings, ports and probes of Fairlead."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from tests.cli.conftest import Server

from fairlead.config import Settings

from .product import KEY, longest_leave_s, page_of, settings_of
from .rule_files import DEPLOY, load
from .schema import faults, model_faults

RUN: dict[str, Any] = load(DEPLOY / "cloud-run" / "service.yaml")
TASK: dict[str, Any] = json.loads((DEPLOY / "ecs" / "task-definition.json").read_text())
SERVICE: dict[str, Any] = json.loads((DEPLOY / "ecs" / "service.json").read_text())
DEFAULTS = Settings.read({})
RUN_GIVES_S = 10
FARGATE_GIVES_S = 120
RUN_SCHEMA = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "[a-z-]+", "annotations": {"run.googleapis.com/ingress": "all|internal.*"}},
    "spec": {
        "template": {
            "metadata": {
                "annotations": {
                    "autoscaling.knative.dev/minScale": r"\d+",
                    "autoscaling.knative.dev/maxScale": r"\d+",
                    "run.googleapis.com/execution-environment": "gen1|gen2",
                    "run.googleapis.com/startup-cpu-boost": "true|false",
                }
            },
            "spec": {"containerConcurrency": int, "timeoutSeconds": int, "containers": list, "volumes": list},
        }
    },
}
PAIR = {"name": r"\w+", "value": ".+"}
TASK_SCHEMA = {
    "family": "[a-z-]+",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256|512|1024|2048|4096",
    "memory": r"\d+",
    "executionRoleArn": "arn:aws:iam:.+",
    "taskRoleArn": "arn:aws:iam:.+",
    "containerDefinitions": [
        {
            "name": "[a-z-]+",
            "image": r".+:\d+\.\d+\.\d+",
            "command": [".+"],
            "essential": bool,
            "user": r"\d+",
            "stopTimeout": int,
            "portMappings": [
                {"name": "[a-z]+", "containerPort": int, "protocol": "tcp|udp", "appProtocol": "http|http2|grpc"}
            ],
            "environment": [PAIR],
            "secrets": [{"name": r"\w+", "valueFrom": "arn:aws:(secretsmanager|ssm):.+"}],
            "healthCheck": {"command": [".+"], "interval": int, "timeout": int, "retries": int, "startPeriod": int},
            "linuxParameters": {"capabilities": {"drop": ["ALL|[A-Z_]+"]}, "initProcessEnabled": bool},
            "mountPoints": [{"sourceVolume": r"\w+", "containerPath": "/.+", "readOnly": bool}],
            "logConfiguration": {"logDriver": "awslogs", "options": dict},
        }
    ],
    "volumes": [
        {
            "name": r"\w+",
            "efsVolumeConfiguration": {
                "fileSystemId": r"\w+",
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": r"\w+", "iam": "ENABLED"},
            },
        }
    ],
}
SERVICE_SCHEMA = {
    "cluster": r"\w+",
    "serviceName": "[a-z-]+",
    "taskDefinition": "[a-z-]+",
    "launchType": "FARGATE",
    "desiredCount": int,
    "healthCheckGracePeriodSeconds": int,
    "deploymentConfiguration": {
        "minimumHealthyPercent": int,
        "maximumPercent": int,
        "deploymentCircuitBreaker": {"enable": bool, "rollback": bool},
    },
    "loadBalancers": [{"targetGroupArn": r"\w+", "containerName": "[a-z]+", "containerPort": int}],
    "networkConfiguration": {
        "awsvpcConfiguration": {"subnets": [r"\w+"], "securityGroups": [r"\w+"], "assignPublicIp": "DISABLED|ENABLED"}
    },
}


def values(pairs: list[dict[str, Any]]) -> dict[str, str]:
    """Variables by their names; what comes of a secret is left out."""
    return {pair["name"]: pair["value"] for pair in pairs if "value" in pair}


def test_cloud_run_knows_every_key(served: Server) -> None:
    """Its container and volumes are Kubernetes'; what is misspelt is found in both; its probes are answered."""
    spec = RUN["spec"]["template"]["spec"]
    assert faults(RUN, RUN_SCHEMA) == []
    pod = {"containers": [{"name": "server"} | one for one in spec["containers"]], "volumes": spec["volumes"]}
    assert model_faults(pod, "V1PodSpec") == []
    assert model_faults({"containers": [{"name": "server", "probe": {}}]}, "V1PodSpec") != []
    assert faults({"spec": {"templates": {}}}, RUN_SCHEMA) == [".spec.templates is not known"]
    (container,) = spec["containers"]
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe")]
    assert [page_of(served, probe["port"], probe["path"]) for probe in probes] == [200, 200]


def test_cloud_run_starts_what_there_is() -> None:
    """A server of REST that drains in the time that an instance has, and reads a store that nobody there writes."""
    spec = RUN["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    settings = settings_of(container["args"], values(container["env"]))
    assert settings.host == "0.0.0.0"
    assert [port["containerPort"] for port in container["ports"]] == [settings.rest_port] == [DEFAULTS.rest_port]
    assert longest_leave_s(settings) < RUN_GIVES_S
    assert spec["containerConcurrency"] <= settings.max_in_flight
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [str(settings.store_path)]
    assert spec["volumes"][0]["csi"]["readOnly"] is True
    assert [variable["name"] for variable in container["env"] if "valueFrom" in variable] == [KEY]
    assert int(RUN["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"]) > 0


def test_ecs_knows_every_key() -> None:
    """Of the task and of the service; what is misspelt is found."""
    assert faults(TASK, TASK_SCHEMA) == []
    assert faults(SERVICE, SERVICE_SCHEMA) == []
    assert faults(TASK | {"containerDefinition": []}, TASK_SCHEMA) == [".containerDefinition is not known"]
    assert faults(SERVICE | {"desiredCount": "2"}, SERVICE_SCHEMA) == [".desiredCount is '2'"]


def test_ecs_starts_what_there_is() -> None:
    """The image's own user, the ports that are served, time to drain, a store that is only read."""
    (container,) = TASK["containerDefinitions"]
    settings = settings_of(container["command"], values(container["environment"]))
    assert f"useradd --uid {container['user']} " in (DEPLOY / "container" / "Dockerfile").read_text()
    assert settings.host == "0.0.0.0"
    ports = {port["name"]: port["containerPort"] for port in container["portMappings"]}
    assert ports == {"rest": DEFAULTS.rest_port, "grpc": DEFAULTS.grpc_port}
    assert longest_leave_s(settings) < container["stopTimeout"] <= FARGATE_GIVES_S
    (mount,), (volume,) = container["mountPoints"], TASK["volumes"]
    assert (mount["sourceVolume"], mount["readOnly"]) == (volume["name"], True)
    assert mount["containerPath"] == str(settings.store_path)
    assert {secret["name"] for secret in container["secrets"]} == {"FAIRLEAD_DATABASE_URL", KEY}
    (balancer,) = SERVICE["loadBalancers"]
    assert (balancer["containerName"], balancer["containerPort"]) == (container["name"], ports["rest"])
    assert SERVICE["taskDefinition"] == TASK["family"]


def test_the_health_check_of_ecs_tells_a_server_that_is_ready(served: Server) -> None:
    """By the management port, inside of the container; and fails where nobody answers."""
    (container,) = TASK["containerDefinitions"]
    kind, _, *arguments = container["healthCheck"]["command"]
    assert kind == "CMD"
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", arguments[-1])
    assert int(port) == DEFAULTS.management_port
    for here, status in ((served.management_port, 0), (1, 1)):
        code = arguments[-1].replace(f":{port}/", f":{here}/")
        done = subprocess.run([sys.executable, arguments[0], code], capture_output=True, timeout=30, check=False)
        assert done.returncode == status
