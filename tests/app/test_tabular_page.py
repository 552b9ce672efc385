"""What `docs/tabular.md` shows works as it stands: on the real data where they are, and on a few made rows anywhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.cli.conftest import Server, starting

PAGE = (Path(__file__).parents[2] / "docs" / "tabular.md").read_text()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(CURL,) = re.findall(r"^    curl (.*)$", PAGE, re.MULTILINE)
(SHOWN,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
BODY, URL = shlex.split(CURL)[2:]
ROW = json.loads(BODY)["row"]
_MOST_LINES = 10


def written(folder: Path) -> None:
    """Rows like the real ones, written as they are: with spaces, and question marks for what is missing."""
    dice = np.random.default_rng(0)
    rows = 600
    columns = {
        name: dice.choice([f" {value}", *others], rows)
        if isinstance(value, str) or value is None
        else dice.integers(value // 2, 2 * value + 20, rows)
        for (name, value), others in zip(ROW.items(), [(" Private", " ?"), *[(" Other",)] * 13], strict=True)
    }
    columns["workclass"] = dice.choice([f" {value}" for value in ["State-gov", "?", *"abcdefg"]], rows)
    columns["native-country"] = dice.choice([" Cuba", " ?"], rows)
    table = pd.DataFrame(columns)
    table["income"] = np.where(table["age"] + dice.integers(0, 20, rows) > 60, " >50K", " <=50K")
    folder.mkdir()
    table.to_csv(folder / "adult.data", header=False, index=False)


def published(folder: Path, more: str = "") -> str:
    """What the page's program prints; its store is in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + more],
        env={**os.environ, "FAIRLEAD_HOME": str(folder / "home")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(SHOWN)
    return done.stdout


def ask(server: Server, row: dict[str, object]) -> tuple[int, str]:
    """Status and text of what the page's request gets with another row."""
    status, answer = server.call("POST", URL.partition(":8501")[2], json.dumps({"row": row}).encode())
    return status, json.dumps(answer)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of what the page's program published of the rows made here."""
    folder = tmp_path_factory.mktemp("page")
    written(folder / "adult")
    published(folder)
    with starting(folder) as start:
        server = start(folder / "home" / "store", "--workers", "1")
        server.wait_ready()
        yield server


def test_it_is_few_lines_from_the_trained_model_to_an_answer(server: Server) -> None:
    """What follows the training, the command that serves, and the one that asks."""
    lines = [*PROGRAM.partition("model = ")[2].splitlines()[1:], "fairlead serve", *CURL.splitlines()]
    assert len(lines) <= _MOST_LINES
    status, answer = server.call("POST", URL.partition(":8501")[2], BODY.encode())

    assert status == 200, answer
    assert answer["label"] == "<=50K"
    assert answer["proba"] == answer["probabilities"]["<=50K"] > 0.5
    assert {"model": "adult", "version": 1}.items() <= answer.items()


def test_what_is_refused_is_named_as_the_page_says(server: Server) -> None:
    """Each column's fault in the page's words."""
    lacking = {name: value for name, value in ROW.items() if name != "education"}
    said = "\n".join(
        ask(server, row)[1]
        for row in (
            lacking,
            ROW | {"salary": 1},
            ROW | {"age": "old"},
            ROW | {"workclass": "Astronaut"},
            ROW | {"age": 250},
            ROW | {"sex": None},
        )
    )
    table = re.findall(
        r"^\| [a-z].*? \| `(.*)` \|$", PAGE.split("## What is refused")[1].split("## Drift")[0], re.MULTILINE
    )
    assert len(table) == 6
    for words in table:
        assert json.dumps(words.replace("in row 1", "in row 0"))[1:-1] in said


def test_the_real_rows_are_answered_as_lightgbm_answers(tmp_path: Path, real_data: Path) -> None:
    """All 16,281 of the test set, to 1e-5; the most that one differs by is printed."""
    (tmp_path / "adult").symlink_to(real_data / "tabular")
    more = """
import numpy as np
from pathlib import Path
from fairlead.conversion.frame import tensors_of
from fairlead.servable.runtimes.onnx import open_model
others = pd.read_csv("adult/adult.test", names=NAMES, skipinitialspace=True, na_values="?", skiprows=1)
others = others.drop(columns="income").astype({name: people[name].dtype for name in texts})
servable, signature = open_model(Path("home/store/adult/1/model.onnx"))
rows = tensors_of(others)
signature.check_inputs(rows)
print(len(others), np.abs(servable.predict(rows)["probabilities"] - model.predict_proba(others)).max())
"""
    rows, most = published(tmp_path, more).split()[-2:]
    assert int(rows) == 16_281
    assert float(most) < 1e-6
