"""`fairlead doctor`."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.app.doctor.examination import examine
from fairlead.app.doctor.finding import Health
from fairlead.cli.output import json_line, settings_from
from fairlead.config import add_flags

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead doctor
  fairlead doctor --store /srv/models --rest-port 8501
  kubectl kustomize deploy/kubernetes/overlays/prod > pods.yaml && fairlead doctor --manifests pods.yaml

Exit status 1 when something would break; warnings alone leave it at 0."""

_MARKS = {Health.OK: "ok  ", Health.WARNING: "warn", Health.FAILED: "FAIL"}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--manifests",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="look at the autoscalers of these Kubernetes manifests as well; may be given again",
    )
    add_flags(
        parser,
        "home",
        "store",
        "host",
        "rest_port",
        "grpc_port",
        "management_host",
        "management_port",
        "open",
        "trusted_keys",
        "signing_key",
        "tls_certificate",
        "tls_key",
        "tls_client_ca",
        "tls_ports",
        "workers",
        "threads",
    )


def run(arguments: Namespace) -> int:
    findings = []
    for finding in examine(settings_from(arguments), manifests=arguments.manifests):
        findings.append(finding)
        if not arguments.json:
            print(f"{_MARKS[finding.health]}  {finding.name}: {finding.message}")
            if finding.hint:
                print(f"      try: {finding.hint}")
    if arguments.json:
        json_line([dataclasses.asdict(finding) for finding in findings])
    return 1 if any(finding.health is Health.FAILED for finding in findings) else 0
