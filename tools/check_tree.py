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

from fairlead.config import markdown

ROOT = Path(__file__).parents[1]
SETTINGS = ROOT / "docs" / "settings.md"
GRPC = ROOT / "src" / "fairlead" / "transport" / "grpc"
DESCRIPTORS = GRPC / "protos.binpb"
MARK = "<!-- made by tools/check_tree.py from fairlead.config -->\n"
ADDRESS = re.compile(r"--(extra-)?index-url|--find-links|https?://|\"resolved\"")


def settings_page() -> str:
    """`docs/settings.md` as it should be: its hand-written head and the table made from the code."""
    head = SETTINGS.read_text().partition(MARK)[0]
    return f"{head}{MARK}{markdown()}"


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
    found = []
    if settings_page() != SETTINGS.read_text():
        found.append(f"{SETTINGS.relative_to(ROOT)} is out of date: python tools/check_tree.py --write")
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
        SETTINGS.write_text(settings_page())
        DESCRIPTORS.write_bytes(descriptors())
    found = faults()
    print("\n".join(found) or "the tree is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
