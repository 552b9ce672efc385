"""No code of ours reads what runs code when it is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLACES = ("src", "examples", "deploy", "tools")
READERS = frozenset({"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"})
WRITERS = frozenset({"Pickler", "PicklingError"})
"""What writes pickles and reads none."""


def faults(tree: ast.AST) -> Iterator[str]:
    """What unpickles, or could."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in READERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in READERS:
            yield from (f"{node.module}" for alias in node.names if alias.name not in WRITERS)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            pickled = [keyword.value for keyword in node.keywords if keyword.arg == "allow_pickle"]
            refuses = [isinstance(value, ast.Constant) and value.value is False for value in pickled]
            if (node.func.attr == "load" and ast.unparse(node.func.value) in ("np", "numpy") and not pickled) or (
                pickled and not all(refuses)
            ):
                yield ast.unparse(node)


def test_nothing_unpickles() -> None:
    """Neither by a module made for it, nor through numpy, which has to be told not to each time."""
    files = [path for place in PLACES for path in sorted((ROOT / place).rglob("*.py"))]
    found = [f"{path}: {fault}" for path in files for fault in faults(ast.parse(path.read_text()))]

    assert len(files) > 300
    assert found == []


def test_the_check_finds_what_it_looks_for() -> None:
    """Each way to unpickle by its name."""
    wrong = ["import pickle", "from joblib import load", "np.load('x')", "np.load('x', allow_pickle=True)"]
    text = "\n".join([*wrong, "np.load('x', allow_pickle=False)", "json.load(x)", "from pickle import Pickler"])

    assert list(faults(ast.parse(text))) == ["pickle", "joblib", *wrong[2:]]
