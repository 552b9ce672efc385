"""What no linter sees: generated files are up to date, lock files name no index, every test says its rule.

Run by `make check`. `python tools/check_tree.py --write` brings the generated files up to date.
"""

from __future__ import annotations

import ast
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

from fairlead.app import metric_catalogue, python_catalogue
from fairlead.cli import catalogue as commands
from fairlead.config import markdown
from fairlead.transport.openapi import catalogue as interfaces

ROOT = Path(__file__).parents[1]
GRPC = ROOT / "src" / "fairlead" / "transport" / "grpc"
DESCRIPTORS = GRPC / "protos.binpb"
MADE = {
    ROOT / "docs" / "settings.md": ("fairlead.config", markdown),
    ROOT / "docs" / "metrics.md": ("fairlead.app.metric_catalogue", metric_catalogue.markdown),
    ROOT / "docs" / "commands.md": ("fairlead.cli.catalogue", commands.markdown),
    ROOT / "docs" / "interfaces.md": ("fairlead.transport.openapi.catalogue", interfaces.markdown),
    ROOT / "docs" / "python.md": ("fairlead.app.python_catalogue", python_catalogue.markdown),
}
"""Pages whose body is made from the code: by which module, and how."""
ADDRESS = re.compile(r"--(extra-)?index-url|--find-links|https?://|\"resolved\"")


def made_page(path: Path) -> str:
    """A page as it should be: its hand-written head and what is made from the code."""
    module, body = MADE[path]
    mark = f"<!-- made by tools/check_tree.py from {module} -->\n"
    return f"{path.read_text().partition(mark)[0]}{mark}{body()}"


def descriptors() -> bytes:
    """`protos.binpb` as it should be: the descriptors of the `.proto` files, in the order of their names."""
    protos = GRPC / "protos"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "protos.binpb"
        names = sorted(path.name for path in protos.glob("*.proto"))
        arguments = [f"-I{protos}", f"-I{Path(protoc.__file__).parent / '_proto'}", f"--descriptor_set_out={out}"]
        if protoc.main(["protoc", *arguments, *names]):
            sys.exit(1)
        return out.read_bytes()


def faults() -> list[str]:
    """One line for each thing that is wrong."""
    found = [
        f"{page.relative_to(ROOT)} is out of date: python tools/check_tree.py --write"
        for page in MADE
        if made_page(page) != page.read_text()
    ]
    if descriptors() != DESCRIPTORS.read_bytes():
        found.append(f"{DESCRIPTORS.relative_to(ROOT)} is out of date: make protos")
    for peer in sorted((ROOT / "benchmarks" / "peers").glob("*/requirements.txt")):
        found += [f"{peer.parent.name}:{n}: names an address" for n, line in _lines(peer) if ADDRESS.search(line)]
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        found += [f"{lock.name}:{n}: names an address" for n, line in _lines(lock) if ADDRESS.search(line)]
        found += [f"{lock.name}: {name} has no hash" for name in _unhashed(lock)]
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        found += [f"{test.relative_to(ROOT)}: {name} has no docstring" for name in _silent_tests(test)]
    return found


def _lines(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text().splitlines(), 1))


def _unhashed(lock: Path) -> list[str]:
    entries = re.split(r"\n(?=\S)", lock.read_text())
    return [entry.split("==")[0] for entry in entries if "==" in entry.split("\n")[0] and "--hash=sha256:" not in entry]


def _silent_tests(path: Path) -> list[str]:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.name.startswith("test") and not ast.get_docstring(node)]


def main() -> int:
    """Print the faults; the exit status says whether there are any."""
    if "--write" in sys.argv:
        for page in MADE:
            page.write_text(made_page(page))
        DESCRIPTORS.write_bytes(descriptors())
    found = faults()
    print("\n".join(found) or "the tree is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
