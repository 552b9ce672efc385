"""`fairlead labels import`: all that is good is taken in, once, and what is bad is named by its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import main
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.testing import publish_digit

from .logged import DAY_US, DIGITS, Logged

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """A stable version."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="first")
    return live


def write(live: Logged, labels: Sequence[Label], *, header: tuple[str, ...] = ("prediction_id", "label")) -> str:
    """A CSV of these labels; its path."""
    path = live.root / "truth.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([one.prediction_id, one.label] for one in labels)
    return str(path)


def counts(capsys: Capture, *command: str, status: int = 0) -> Any:
    """What became of the labels, but for outcomes that none had."""
    assert main(["labels", "import", *command, "--json"]) == status
    told = json.loads(capsys.readouterr().out)
    return {outcome: count for outcome, count in told.items() if count}


def history(live: Logged, prediction_id: str) -> list[tuple[str, str]]:
    """The labels of a prediction and who said them."""
    feedback = Feedback(live.engine, now_us=lambda: 0, classes_of=lambda *_: None, horizon_us=DAY_US)
    return [(one.label, one.source) for one in feedback.history(prediction_id)]


def test_every_label_has_an_outcome(live: Logged, capsys: Capture) -> None:
    """Joined, waiting for a prediction that may come, corrected, repeated, or for one that cannot come any more."""
    labels = live.answer(4)
    early = Label(prediction_id=live.new_id(live.now_us), label="1")
    lost = Label(prediction_id=live.new_id(live.now_us - 30 * DAY_US), label="1")
    other = DIGITS[(int(labels[0].label) + 1) % 10]
    live.label([labels[0], labels[1]])
    corrected = Label(prediction_id=labels[0].prediction_id, label=other)

    told = counts(capsys, write(live, [corrected, *labels[1:], early, lost]), "--source", "laboratory")

    assert told == {"labels": 6, "joined": 2, "waiting": 1, "corrected": 1, "repeated": 1, "unknown": 1}
    assert history(live, labels[0].prediction_id) == [(labels[0].label, "tester"), (other, "laboratory")]
    assert history(live, labels[2].prediction_id) == [(labels[2].label, "laboratory")]


def test_importing_again_changes_nothing(live: Logged, capsys: Capture) -> None:
    """Whoever was interrupted runs the same again; the file's name says where the labels are from."""
    labels = live.answer(50)
    path = write(live, labels)

    assert counts(capsys, path) == {"labels": 50, "joined": 50}
    assert counts(capsys, path) == {"labels": 50, "repeated": 50}
    assert history(live, labels[0].prediction_id) == [(labels[0].label, "truth.csv")]


def test_a_large_file_goes_in_piece_by_piece(live: Logged, capsys: Capture) -> None:
    """Progress goes to standard error; the counts are of the whole."""
    labels = live.answer(10_001)

    assert main(["labels", "import", write(live, labels)]) == 0

    out, error = capsys.readouterr()
    assert error == "10,000 labels\n10,001 labels\n"
    assert out.splitlines()[1].split() == ["10,001", "joined", "their", "prediction", "is", "in", "the", "log"]


def test_a_bad_line_stops_the_import_at_its_number(live: Logged, capsys: Capture) -> None:
    """What came before in whole pieces is in, and is said to be; nothing of its own piece is."""
    labels = live.answer(10_004)
    bad = Label(prediction_id=labels[10_002].prediction_id, label="eleven")

    assert main(["labels", "import", write(live, [*labels[:10_002], bad, labels[10_003]])]) == 1

    out, error = capsys.readouterr()
    assert "error: line 10004 of truth.csv: 'eleven' is no class of digits version 1" in error
    assert "one of '0', '1'" in error
    assert "import it again: what is in already counts as repeated" in error
    assert out.splitlines()[1].split()[:2] == ["10,000", "joined"]
    assert history(live, labels[9_999].prediction_id)
    assert not history(live, labels[10_001].prediction_id)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("id,label\na,1\n", "truth.csv has no column prediction_id", "its columns are 'id', 'label'"),
        ("", "truth.csv has no column prediction_id", "its columns are none"),
        ("prediction_id,label\nnonsense,1\n", "line 2 of truth.csv: 'nonsense' is no prediction's id", "prediction_id"),
        ("prediction_id,label\n1,2,3\n", "line 2 of truth.csv has 3 values, the header has 2", "mend the file"),
    ],
)
def test_a_bad_file_is_told_and_nothing_is_taken_in(
    live: Logged, capsys: Capture, text: str, message: str, hint: str
) -> None:
    """A missing column with those there are, and a bad line with its number."""
    path = live.root / "truth.csv"
    path.write_text(text)

    assert main(["labels", "import", str(path)]) == 1

    out, error = capsys.readouterr()
    assert message in error
    assert hint in error
    assert "Traceback" not in error
    assert out == ""


def test_a_file_without_labels_is_no_fault(live: Logged, capsys: Capture) -> None:
    """Of a day on which nobody said anything; that it was empty is said."""
    assert main(["labels", "import", write(live, [])]) == 0

    assert "truth.csv holds no label" in capsys.readouterr().err


def test_labels_of_another_model_are_refused(live: Logged, capsys: Capture) -> None:
    """With the line, the prediction and whose it is; --model may also be one that is not there."""
    labels = live.answer(1)
    path = write(live, labels)
    publish_digit(live.store, "messages", 7)

    assert main(["labels", "import", path, "--model", "messages"]) == 1
    told = f"line 2 of truth.csv: prediction {labels[0].prediction_id} is one of digits, not of messages"
    assert told in capsys.readouterr().err
    assert not history(live, labels[0].prediction_id)
    assert main(["labels", "import", path, "--model", "nosuch"]) == 2
    assert "there is no model 'nosuch'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "status", "message"),
    [("absent.csv", 2, "there is no file"), ("truth.txt", 1, "is neither .csv nor .parquet")],
)
def test_a_file_that_cannot_be_read_is_named(
    live: Logged, capsys: Capture, file: str, status: int, message: str
) -> None:
    """With its path."""
    assert main(["labels", "import", str(live.root / file)]) == status
    assert message in capsys.readouterr().err


def test_without_a_database_there_is_nothing_to_label(live: Logged, capsys: Capture) -> None:
    """None is made: labels in the wrong home would wait there for ever."""
    path = write(live, live.answer(1))

    assert main(["labels", "import", path, "--home", str(live.root / "elsewhere")]) == 1

    assert "there is no database, and so no prediction" in capsys.readouterr().err
    assert not (live.root / "elsewhere").exists()


def test_parquet_is_read_as_well(live: Logged, capsys: Capture) -> None:
    """Numbers are the text of the class."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = live.answer(3)
    table = pa.table(
        {"prediction_id": [one.prediction_id for one in labels], "label": [int(one.label) for one in labels]}
    )
    parquet.write_table(table, live.root / "truth.parquet")

    assert counts(capsys, str(live.root / "truth.parquet")) == {"labels": 3, "joined": 3}
    assert history(live, labels[0].prediction_id) == [(labels[0].label, "truth.parquet")]
