"""What runs each command of the documentation, and what holds each block that is only shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.documents.pages import ROOT, Block

__all__ = ["HERE", "SHOWN", "WHOLE", "Elsewhere", "elsewhere", "runs_here"]

WHOLE = {
    "docs/client.md": "tests/test_client_page.py",
    "docs/init.md": "tests/cli/test_init.py",
    "docs/tutorial.md": "tests/test_tutorial.py",
}
"""Pages that a test of their own goes through."""

SHOWN = {
    ("README.md", "text"): "tests/gate",  # the loop in a line, the words of the gate, what is where
    ("README.md", "python"): "tests/documents/test_blocks.py",
    ("docs/access.md", "yaml"): "tests/documents/test_blocks.py",
    ("docs/capacity.md", "text"): "tests/benchmarks/test_capacity.py",
    ("docs/deploy-kubernetes.md", "text"): "tests/deploy/test_kubernetes.py",
    ("docs/deploy-kubernetes.md", "yaml"): "tests/documents/test_blocks.py",
    ("docs/deploy-vm.md", "text"): "tests/deploy/test_vm.py",
    ("docs/export.md", "python"): "tests/exporting/test_tflite.py",
    ("docs/graphs.md", "json"): "tests/documents/test_blocks.py",
    ("docs/logs.md", "json"): "tests/documents/test_blocks.py",
    ("docs/optimize.md", "text"): "tests/optimization/test_optimize.py",
    ("docs/publish.md", "python"): "tests/app/test_publish_page.py",
    ("docs/publish.md", "text"): "tests/app/test_publish_page.py",
    ("docs/redaction.md", "text"): "tests/documents/test_blocks.py",
    ("docs/runbooks/graph-member.md", "promql"): "tests/documents/test_blocks.py",
    ("docs/tabular.md", "python"): "tests/app/test_tabular_page.py",
    ("docs/tabular.md", "text"): "tests/app/test_tabular_page.py",
    ("docs/texts.md", "python"): "tests/app/test_texts_page.py",
    ("docs/texts.md", "text"): "tests/app/test_texts_page.py",
    ("docs/troubleshooting.md", "text"): "tests/test_troubleshooting.py",
}
"""Blocks that are no commands, by page and language: which test runs them, or holds what they show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Commands that are not run as they stand.

    Attributes:
        pattern: which.
        tests: what runs the like of them, with every flag that they have, or holds the files that they name.
    """

    pattern: str
    tests: str


HERE = (
    r"fairlead (backup|doctor|experiment|history|keys|labels|promote|quality|restore|rollback|rollout|versions)\b",
    r"(pass show fairlead \| )?fairlead console\b",
    r"fairlead batch (?!.*--engine)",
    r"fairlead graph \S+ --(average|vote)",
    r"(JWT_SECRET_KEY=\S+ )?fairlead serve(?!.*(--engine|s3://))",
    r"(SMOKE_HEADER=\"[^\"]*\" )?python3 deploy/smoke\.py",
    r"curl (?!.*(model=(iris|rent|mail)|topics|\"row\"|\"text\"|:909))",
    r"make\b",
    r"pip install\b",
    r"python -m benchmarks\.capacity\b",
    r"(df|du|grep|openssl ec\w*)\b",
)
"""Commands that `test_commands.py` runs."""

_ELSEWHERE = (
    Elsewhere(pattern=r"fairlead (train|retrain) .*--engine ray", tests="tests/cluster/test_training.py"),
    Elsewhere(pattern=r"fairlead batch .*--engine ray", tests="tests/cluster/test_batch.py"),
    Elsewhere(pattern=r"fairlead serve --engine ray", tests="tests/cluster/test_serving.py"),
    Elsewhere(pattern=r"fairlead serve --store s3://", tests="tests/hosts"),
    Elsewhere(pattern=r"FAIRLEAD_REDIS_URL=\S+ fairlead serve", tests="tests/cli/test_shared_rates.py"),
    Elsewhere(pattern=r"fairlead (up|train|retrain)\b", tests="tests/cli"),
    Elsewhere(pattern=r"fairlead controller\b", tests="tests/controller"),
    Elsewhere(pattern=r"fairlead drill\b", tests="tests/cli/test_drill.py"),
    Elsewhere(pattern=r"fairlead tensorboard\b", tests="tests/cli/test_tensorboard.py"),
    Elsewhere(pattern=r"fairlead export\b", tests="tests/exporting"),
    Elsewhere(pattern=r"tritonserver\b", tests="tests/exporting"),
    Elsewhere(pattern=r"fairlead optimize\b", tests="tests/optimization"),
    Elsewhere(pattern=r"fairlead import\b", tests="tests/app"),
    Elsewhere(pattern=r"fairlead graph \S+ --(stack|chain|file)", tests="tests/graphs"),
    Elsewhere(pattern=r"curl .*model=(iris|rent|mail)", tests="tests/app/test_publish_page.py"),
    Elsewhere(pattern=r"curl .*topics", tests="tests/app/test_texts_page.py"),
    Elsewhere(pattern=r"curl .*\"row\"", tests="tests/app/test_tabular_page.py"),
    Elsewhere(pattern=r"curl .*\"text\"", tests="tests/examples"),
    Elsewhere(pattern=r"curl .*:909", tests="tests/deploy/test_alerting.py"),
    Elsewhere(pattern=r"grpcurl\b", tests="tests/transport/grpc/test_reflection.py"),
    Elsewhere(pattern=r"openssl s_client\b", tests="tests/cli/test_tls.py"),
    Elsewhere(pattern=r"python -m (benchmarks\.(\w+_)?image|tools\.wheels)", tests="tests/deploy/test_images.py"),
    Elsewhere(pattern=r"FAIRLEAD_TEST_DATA=DIR python -m pytest tests/redaction", tests="tests/redaction"),
    # What needs somebody's account, cluster, container engine or root: the files are held to what these take.
    Elsewhere(pattern=r"(fly|tar)\b", tests="tests/deploy/test_fly.py"),
    Elsewhere(pattern=r"kubectl\b", tests="tests/deploy/test_kubernetes.py"),
    Elsewhere(pattern=r"(gcloud|aws)\b", tests="tests/deploy/test_recipes.py"),
    Elsewhere(pattern=r"(docker compose|cp example\.env)\b", tests="tests/deploy/test_compose.py"),
    Elsewhere(pattern=r"docker (build|run)\b", tests="tests/deploy/test_images.py"),
    Elsewhere(pattern=r"ENGINE=\S+ make release-check", tests="tests/deploy/test_release.py"),
    Elsewhere(
        pattern=r"(useradd|install|systemctl|sudo|python3 -m venv|/opt/fairlead/bin/pip)\b",
        tests="tests/deploy/test_vm.py",
    ),
    Elsewhere(pattern=r"export AWS_", tests="tests/hosts"),
)


def runs_here(line: str) -> bool:
    """Whether `test_commands.py` runs it."""
    return any(re.match(pattern, line) for pattern in HERE)


def elsewhere(line: str) -> Elsewhere | None:
    """Where the like of a command is run."""
    return next((one for one in _ELSEWHERE if re.match(one.pattern, line)), None)


def text_of(tests: str) -> str:
    """All that stands in a file of tests, or in the files of a folder."""
    path = ROOT / tests
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text() for file in files)


def named_paths(line: str) -> list[Path]:
    """The files of this repository that a command names."""
    words = re.findall(r"(?:file://|\s|=)((?:deploy|tools|tests)/[\w./-]*\w)", line)
    return [ROOT / word for word in words if word != "deploy/fairlead-controller"]  # a resource of the cluster


def is_commands(block: Block) -> bool:
    """Whether a reader types it: it is indented, or a fence of the shell."""
    return block.language in ("", "sh")
