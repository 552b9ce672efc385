"""`fairlead batch`, as a user runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.cli.conftest import StartServer, starting

from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .conftest import Batch, answers, command, publish_table, rejects, rows, write_csv, write_json_lines, write_parquet

Write = Callable[[Path, NDArray[np.float32]], Path]
WRITERS = {"csv": write_csv, "jsonl": write_json_lines, "parquet": write_parquet}


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts `fairlead serve`."""
    with starting(tmp_path) as start:
        yield start


def test_every_format_says_what_a_server_says(
    table_store: WritableStore, batch: Batch, start_server: StartServer, tmp_path: Path
) -> None:
    """A row has the same label and probabilities in every format, and as the answer of `/predict`."""
    values = rows(2500)
    server = start_server(table_store.root)
    server.wait_ready()
    body = json.dumps({"instances": values.astype(float).round(3).tolist()}).encode()
    status, served = server.call("POST", "/predict?model=sides", body)
    assert status == 200
    for name, write in WRITERS.items():
        output = tmp_path / f"from-{name}"
        done = batch("sides", write(tmp_path / f"rows.{name}", values), output, "--part-rows", 700)

        assert done.returncode == 0, done.stderr
        assert done.stdout == f"sides@1: 2,500 rows, 0 rejected; the answers are in {output}\n"
        found = answers(output)
        assert [row["row"] for row in found] == [*range(2500)]
        for row, expected in zip(found, served["predictions"], strict=True):
            chances = row.get("probabilities") or {key: row[f"probabilities.{key}"] for key in ("below", "above")}
            assert row["label"] == expected["label"]
            assert row["proba"] == pytest.approx(expected["proba"], abs=1e-6)
            assert chances == pytest.approx(expected["probabilities"], abs=1e-6)
    assert len([*(tmp_path / "from-parquet").glob("part-*.parquet")]) == 4


def test_pictures_say_what_a_server_says(
    store: WritableStore, batch: Batch, start_server: StartServer, picture: bytes, tmp_path: Path
) -> None:
    """The pictures of a folder and those below it are scored as `/predict` scores each; a damaged one is rejected."""
    store.promote(publish_digit(store, "digits", 3).manifest.id, why="")
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    (folder / "a.png").write_bytes(picture)
    (folder / "b.jpg").write_bytes(b"no picture")
    (folder / "more" / "c.PNG").write_bytes(picture)
    (folder / "notes.txt").write_text("no picture either")
    server = start_server(store.root)
    server.wait_ready()
    _, served = server.call("POST", "/predict?model=digits", picture)

    done = batch("digits", folder, tmp_path / "out", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"model": "digits", "version": 1, "rows": 3, "scored": 2, "rejected": 1}
    found = answers(tmp_path / "out")
    assert [(row["row"], row["file"]) for row in found] == [(0, "a.png"), (2, "more/c.PNG")]
    assert {key: found[0][key] for key in ("label", "probabilities")} == {
        key: served[key] for key in ("label", "probabilities")
    }
    (reject,) = rejects(tmp_path / "out")
    assert (reject["row"], reject["file"]) == (1, "b.jpg")
    assert "neither PNG nor JPEG" in reject["reason"]


def test_a_model_without_classes_gives_its_outputs(store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """Without labels a row has the model's outputs by name, in every format."""
    publish_table(store, tmp_path, labels=())
    source = write_csv(tmp_path / "rows.csv", rows(3))
    found = {}
    for name in WRITERS:
        done = batch("sides", source, tmp_path / name, "--version", 1, "--format", name)
        assert done.returncode == 0, done.stderr
        found[name] = answers(tmp_path / name)
    first = found["jsonl"][0]["outputs"]["probs"]
    assert sum(first) == pytest.approx(1)
    assert found["parquet"][0]["outputs.probs"] == pytest.approx(first)
    assert json.loads(found["csv"][0]["outputs.probs"]) == pytest.approx(first)


@pytest.mark.parametrize("name", [*WRITERS, "pictures"])
def test_killed_at_any_point_it_goes_on(table_store: WritableStore, picture: bytes, tmp_path: Path, name: str) -> None:
    """Killed three times and run again, every row is there once: good ones answered, bad ones rejected and counted."""
    count, size, model = (20_000, 50, "sides") if name in WRITERS else (400, 1, "digits")
    bad, output = {*range(3, count, 7)}, tmp_path / "out"
    if name in WRITERS:
        values = rows(count)
        values[[*bad], 1] = np.nan
        source, suffix = WRITERS[name](tmp_path / f"rows.{name}", values), name
    else:
        table_store.promote(publish_digit(table_store, "digits", 3).manifest.id, why="")
        source, suffix = tmp_path / "pictures", "jsonl"
        source.mkdir()
        for row in range(count):
            (source / f"{row:03d}.png").write_bytes(picture[:50] if row in bad else picture)
    words = command(table_store, model, source, output, "--part-rows", size)
    kills = 0
    for wanted in (40, 150, 260):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and len([*output.glob(f"part-*[0-9].{suffix}")]) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(10) == -signal.SIGKILL

    there = {path.name: path.stat().st_mtime_ns for path in output.glob(f"part-*[0-9].{suffix}")}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert kills == 3
    assert done.returncode == 0, done.stderr
    assert [row["row"] for row in answers(output)] == sorted({*range(count)} - bad)
    assert [row["row"] for row in rejects(output)] == sorted(bad)
    counts = {"rows": count, "scored": count - len(bad), "rejected": len(bad)}
    assert json.loads((output / "done.json").read_text()) == counts
    assert {part: (output / part).stat().st_mtime_ns for part in there} == there, "what was there is not done again"


@pytest.mark.parametrize("name", WRITERS)
def test_a_hole_is_filled(table_store: WritableStore, batch: Batch, tmp_path: Path, name: str) -> None:
    """Parts that are missing between others are done with their own rows, across row groups too."""
    source, output = WRITERS[name](tmp_path / f"rows.{name}", rows(2600)), tmp_path / "out"
    batch("sides", source, output, "--part-rows", 300)
    whole = answers(output)
    for number in (0, 3, 4, 8):
        (output / f"part-{number:05d}.{name}").unlink()
    (output / "done.json").unlink()

    done = batch("sides", source, output, "--part-rows", 300)

    assert done.returncode == 0, done.stderr
    assert answers(output) == whole


def test_bad_rows_are_told_apart(table_store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """A bad row is written down with its number and what is wrong with it; the others are scored."""
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(
        b'{"x": [1, 2, 3, 4]}\n{"x": [1, 2, 3]}\n\n{"x": [1, "2", 3, 4]}\n{"y": 1}\nnonsense\n{"x": [1e99, 0, 0, 0]}\n'
        b'{"x": [null, 0, 0, 0]}\n{"x": [0, 0, 0, -1]}\n'
    )
    cells = tmp_path / "rows.csv"
    cells.write_bytes(b"x0,id,x1,x2,x3\n1,a,2,3,4\n1,b,2,3\n1,c,,3,4\n1,d,\xff,3,4\nnan,e,0,0,0\n.5,f,0,0,1e-3\n")

    assert batch("sides", lines, tmp_path / "lines").returncode == 0
    done = batch("sides", cells, tmp_path / "cells", "--json")

    assert [row["row"] for row in answers(tmp_path / "lines")] == [0, 7]
    assert [(row["row"], row["reason"]) for row in rejects(tmp_path / "lines")] == [
        (1, "input 'x' is [1, 2, 3], no float32 of shape [4]"),
        (2, "input 'x' is [1, '2', 3, 4], no float32 of shape [4]"),
        (3, "it has no 'x'"),
        (4, "it is no JSON: invalid literal, expected 'null' at offset 0"),
        (5, "input 'x' holds a number that is not finite in float32"),
        (6, "input 'x' is [None, 0, 0, 0], no float32 of shape [4]"),
    ]
    assert json.loads(done.stdout) == {"model": "sides", "version": 1, "rows": 6, "scored": 2, "rejected": 4}
    assert [row["row"] for row in answers(tmp_path / "cells")] == [0, 5]
    assert [row["row"] for row in rejects(tmp_path / "cells")] == [1, 2, 3, 4]


def test_bad_rows_of_parquet_are_told_apart(table_store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """Nulls, lists of another length and numbers that are not finite are rejected row by row."""
    import pyarrow as pa
    from pyarrow import parquet

    values = [[1.0, 2, 3, 4], None, [1.0, 2], [float("nan"), 0, 0, 0], [0.0, None, 0, 0], [0.0, 0, 0, -1]]
    parquet.write_table(pa.table({"x": values}), tmp_path / "lists.parquet")
    parquet.write_table(pa.table({f"x{n}": [1, None, 3] for n in range(4)}), tmp_path / "numbers.parquet")

    assert batch("sides", tmp_path / "lists.parquet", tmp_path / "lists").returncode == 0
    assert batch("sides", tmp_path / "numbers.parquet", tmp_path / "numbers").returncode == 0

    assert [row["row"] for row in answers(tmp_path / "lists")] == [0, 5]
    assert [row["row"] for row in rejects(tmp_path / "lists")] == [1, 2, 3, 4]
    assert [row["row"] for row in answers(tmp_path / "numbers")] == [0, 2]
    assert [row["row"] for row in rejects(tmp_path / "numbers")] == [1]


def test_too_many_rejects_fail_the_job(table_store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """With `--max-rejects` the job fails when more are rejected, and goes on when more are allowed."""
    source = tmp_path / "rows.jsonl"
    source.write_text('{"x": [1, 2, 3, 4]}\n{"x": []}\n{"x": 0}\n')

    failed = batch("sides", source, tmp_path / "out", "--max-rejects", 1)
    again = batch("sides", source, tmp_path / "out", "--max-rejects", 2)

    assert failed.returncode == 1
    assert "2 of 3 rows were rejected; at most 1 may be" in failed.stderr
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"a,x0,x1,x2\n1,2,3,4\n", "no column 'x3'"),
        ("rows.jsonl", b'{"a": 1, "b": [2]}\n', "no column 'x'"),
        ("rows.csv", b"x0,x1,x2,x3\n", "holds no row"),
        ("rows.csv", b"", "holds no row"),
        ("rows.jsonl", b"\n\n", "holds no row"),
        ("rows.parquet", b"PAR1 and not much more", "is no whole Parquet file"),
        ("rows.txt", b"1", "is neither a folder of pictures nor one of .csv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    table_store: WritableStore, batch: Batch, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    """What cannot be scored is misuse, said before anything is written."""
    source = tmp_path / name
    source.write_bytes(content)

    done = batch("sides", source, tmp_path / "out")

    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_column_is_named_with_those_there_are(
    table_store: WritableStore, batch: Batch, tmp_path: Path
) -> None:
    """The hint lists the columns and what the model takes; a truncated Parquet is refused too."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1.0], "x": [[1.0] * 4]}).drop(["x"]), tmp_path / "rows.parquet")
    whole = write_parquet(tmp_path / "whole.parquet", rows(2000)).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])

    done = batch("sides", tmp_path / "rows.parquet", tmp_path / "out")
    cut = batch("sides", tmp_path / "cut.parquet", tmp_path / "out")

    assert done.returncode == cut.returncode == 2
    assert "rows.parquet has no column 'x'" in done.stderr
    assert "its columns are 'a'; the model takes 'x', or 'x0' to 'x3'" in done.stderr
    assert "cut.parquet is no whole Parquet file" in cut.stderr


def test_an_output_of_another_job_is_refused(table_store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """A directory belongs to one input, model, version and format; anything else in it is left alone."""
    source, output = write_csv(tmp_path / "rows.csv", rows(10)), tmp_path / "out"
    publish_table(table_store, tmp_path)
    assert batch("sides", source, output).returncode == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")

    again = batch("sides", source, output)
    version = batch("sides", source, output, "--version", 2)
    other = batch("sides", write_csv(tmp_path / "other.csv", rows(10)), output)
    full = batch("sides", source, tmp_path / "full")
    source.write_text(source.read_text() + "1,2,3,4\n")
    changed = batch("sides", source, output)

    assert again.returncode == 0
    assert [done.returncode for done in (version, other, full, changed)] == [1, 1, 1, 1]
    assert "its version is 1, here it is 2" in version.stderr
    assert "rows.csv" in other.stderr
    assert "other.csv" in other.stderr
    assert "holds thesis.txt" in full.stderr
    assert "is of another job: its input is" in changed.stderr
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_a_model_that_is_not_there_is_misuse(table_store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """An unknown model, version or file is named, with what there is."""
    source = write_csv(tmp_path / "rows.csv", rows(10))

    model = batch("digits", source, tmp_path / "out")
    version = batch("sides", source, tmp_path / "out", "--version", 9)
    file = batch("sides", tmp_path / "none.csv", tmp_path / "out")

    assert [done.returncode for done in (model, version, file)] == [2, 2, 2]
    assert "there is no model 'digits'" in model.stderr
    assert "sides has no version 9: it has 1" in version.stderr
    assert "there is no file" in file.stderr


def peak_mb(words: list[str]) -> float:
    """The most memory that the command had; what the system says of children that are over has this process's in it."""
    peak_kb = 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            peak_kb = int(found[1]) if found else peak_kb
            time.sleep(0.01)
    assert process.returncode == 0
    return peak_kb / 1024


@pytest.mark.parametrize("name", WRITERS)
def test_memory_does_not_grow_with_the_input(table_store: WritableStore, tmp_path: Path, name: str) -> None:
    """Four times the rows take no more memory but for some megabytes."""
    peaks = []
    for count in (50_000, 200_000):
        source = WRITERS[name](tmp_path / f"{count}.{name}", rows(count))
        peaks.append(peak_mb(command(table_store, "sides", source, tmp_path / f"out-{count}", "--part-rows", 5000)))
    assert peaks[1] - peaks[0] < 25


def test_large_parts_of_json_lines_fit(table_store: WritableStore, tmp_path: Path) -> None:
    """Parts of 65,536 rows take some megabytes each, read and written."""
    source = write_json_lines(tmp_path / "rows.jsonl", rows(150_000))
    assert peak_mb(command(table_store, "sides", source, tmp_path / "out")) < 300


def test_nothing_serves_yet(store: WritableStore, batch: Batch, tmp_path: Path) -> None:
    """Without a version that serves one has to be named."""
    publish_table(store, tmp_path)
    source = write_csv(tmp_path / "rows.csv", rows(10))

    done = batch("sides", source, tmp_path / "out")

    assert done.returncode == 1
    assert "no version of 'sides' serves" in done.stderr
    assert batch("sides", source, tmp_path / "out", "--version", ServableId("sides", 1).version).returncode == 0
