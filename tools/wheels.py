"""Whether all that the images install has a wheel for a processor, of a digest that is pinned. pip's index is asked.

python -m tools.wheels [--machine aarch64]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

_LOCKS = sorted(path for path in (Path(__file__).parents[1] / "requirements").glob("*.txt") if path.stem != "dev")
_PYTHON, _GLIBC = "3.11", 36
"""Of Debian bookworm."""
_OLDEST_GLIBC = 17


def pins(lock: str, machine: str) -> dict[str, list[str]]:
    """What a lock file has for the machine: each `name==version` with the SHA-256 digests that are pinned."""
    environment = {
        "platform_machine": machine,
        "python_version": _PYTHON,
        "python_full_version": f"{_PYTHON}.2",
        "sys_platform": "linux",
    }
    found = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^ *#.*\n", "", lock, flags=re.MULTILINE)):
        requirement = Requirement(entry.partition("\\")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found[f"{requirement.name}{requirement.specifier}"] = re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
    return found


def unpinned(pinned: dict[str, list[str]], machine: str) -> list[str]:
    """What pip would install there, of another digest."""
    tags = ["manylinux2014", *(f"manylinux_2_{glibc}" for glibc in range(_OLDEST_GLIBC, _GLIBC + 1))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{one}{_hashes(digests)}\n" for one, digests in pinned.items()))
        flags = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--require-hashes", "-qq"]
        where = [f"--python-version={_PYTHON}", *(f"--platform={tag}_{machine}" for tag in tags)]
        command = [sys.executable, "-m", "pip", "install", *flags, *where, f"--target={folder}/none"]
        done = subprocess.run([*command, f"--report={report}", f"--requirement={requirements}"], check=False)
        if done.returncode:
            sys.exit("not all of it has a wheel there")
        installed = json.loads(report.read_text())["install"]
    allowed = {digest for digests in pinned.values() for digest in digests}
    missing = len(pinned) - len(installed)
    return [f"{missing} were not looked at"] * bool(missing) + [
        one["download_info"]["url"]
        for one in installed
        if one["download_info"]["archive_info"]["hashes"]["sha256"] not in allowed
    ]


def _hashes(digests: list[str]) -> str:
    return "".join(f" --hash=sha256:{digest}" for digest in digests)


def main() -> int:
    """Look at each lock file; 1 when something has no such wheel."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--machine", default="aarch64", help="as `uname -m` says it (default: aarch64)")
    machine = parser.parse_args().machine
    wrong = 0
    for path in _LOCKS:
        pinned = pins(path.read_text(), machine)
        found = unpinned(pinned, machine)
        print(f"{path.name}: {len(pinned)} packages for {machine}, {len(found)} faults", *found, sep="\n  ")
        wrong += len(found)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
