"""The images that train and look after models: do they train, publish and retrain with the least that they need?

podman builds `train` and `controller` as `deploy/container` says, and runs them without a network, on a root that
cannot be written, as a user without rights and without capabilities. Needs what `benchmarks.image` needs, and 10 GB.

    python -m benchmarks.training_image [--data DIR]

The data are MNIST's files in `DIR/mnist`, or else the digits that come with scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tools.podman import KEPT, Podman, missing_programs

from benchmarks.harness.process import ROOT
from benchmarks.harness.promises import Promises

_HOME = "fairlead-training"
_LEAST = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp", "--network=none")


def measure(podman: Podman, data: Path | None) -> Promises:
    """Build, train, retrain."""
    podman.make_base()
    for target in ("train", "controller"):
        recipe = f"--file={ROOT / 'deploy' / 'container' / 'Dockerfile'}"
        podman.build(recipe, f"--target={target}", f"--tag=fairlead-{target}", str(ROOT))
        size = int(podman.run("image", "inspect", "--format={{.Size}}", f"fairlead-{target}"))
        print(f"{size / 1e6:,.0f} MB  {target}", flush=True)
    podman.run("volume", "rm", "--force", _HOME)
    try:
        return _train(podman, [f"--volume={data}:/data:ro", "--env=FAIRLEAD_DATA_DIR=/data"] if data else [])
    finally:
        podman.run("volume", "rm", "--force", _HOME)


def _train(podman: Podman, data: list[str]) -> Promises:
    def ask(target: str, *command: str) -> str:
        flags = ["run", "--rm", *_LEAST, f"--volume={_HOME}:/var/lib/fairlead", *data, f"fairlead-{target}"]
        return podman.run(*flags, *command, timeout_s=1800)

    print(ask("train", "train", "digits", "--profile", "dev"), flush=True)
    print(ask("train", "promote", "digits", "1", "--why", "it passed"), flush=True)
    print(ask("controller", "retrain", "digits", "--why", "the image is tried"), flush=True)
    print(ask("controller", "controller", "--once", "digits"), flush=True)
    versions = json.loads(ask("controller", "versions", "digits", "--json"))
    promises = Promises()
    promises.at_least("versions that were trained, judged and published", len(versions["versions"]), 2)
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="of the data sets: MNIST's files lie in DIR/mnist")
    options = parser.parse_args()
    if missing := missing_programs():
        parser.exit(1, f"training_image needs {', '.join(missing)}, which are Debian's packages\n")
    return measure(Podman(KEPT), options.data and options.data.resolve()).exit_status


if __name__ == "__main__":
    sys.exit(main())
