"""Labels from files: what is good is read, what is bad is named by its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.label import Label
from fairlead.monitoring.label_file import read_labels

from .conftest import prediction_id


def csv(tmp_path: Path, content: str | bytes) -> Path:
    """A CSV file."""
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table(tmp_path: Path, **columns: list[object]) -> Path:
    """A Parquet file."""
    path = tmp_path / "labels.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


def every(path: Path) -> list[Label]:
    """All labels of a file."""
    return [label for some in read_labels(path) for label in some]


def test_a_csv_is_read_by_its_header(tmp_path: Path) -> None:
    """Columns stand in any order, others are passed over, empty lines too, and each label knows its line."""
    path = csv(tmp_path, '\ufefflabel,who,prediction_id\r\n7,ann,a\r\n\r\n"a ""b"", c\nd",,b\r\n')

    assert every(path) == [
        Label(prediction_id="a", label="7", origin="line 2 of labels.csv"),
        Label(prediction_id="b", label='a "b", c\nd', origin="line 5 of labels.csv"),
    ]


def test_a_parquet_file_is_read_with_its_types(tmp_path: Path) -> None:
    """Numbers and truth values come as they are, and each label knows its row."""
    path = table(tmp_path, label=[7, 8], note=["x", "y"], prediction_id=["a", "b"])

    assert every(path) == [
        Label(prediction_id="a", label=7, origin="row 1 of labels.parquet"),
        Label(prediction_id="b", label=8, origin="row 2 of labels.parquet"),
    ]
    assert [label.label for label in every(table(tmp_path, prediction_id=["a"], label=[True]))] == [True]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_read_in_parts(tmp_path: Path, kind: str) -> None:
    """However many labels a file has, no list is longer than was asked for."""
    ids = [prediction_id(number) for number in range(2_500)]
    text = "prediction_id,label\n" + "".join(f"{id_},7\n" for id_ in ids)
    path = csv(tmp_path, text) if kind == "csv" else table(tmp_path, prediction_id=[*ids], label=["7"] * 2_500)

    parts = list(read_labels(path, at_once=1_000))

    assert [len(part) for part in parts] == [1_000, 1_000, 500]
    assert [label.prediction_id for part in parts for label in part] == ids


@pytest.mark.parametrize("header", ["prediction_id,truth,who", "", "label,label,prediction_id"])
def test_a_csv_without_the_columns_is_refused(tmp_path: Path, header: str) -> None:
    """A column that is missing or there twice is refused with the columns there are."""
    with pytest.raises(FairleadError, match=r"labels.csv has (no column|the column)") as refusal:
        every(csv(tmp_path, f"{header}\n1,2,3\n"))

    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert all(f"'{name}'" in refusal.value.hint for name in header.split(",") if name)


def test_a_parquet_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    """A missing column is refused with the columns there are."""
    with pytest.raises(FairleadError, match=r"labels\.parquet has no column label") as refusal:
        every(table(tmp_path, prediction_id=["a"], truth=[7]))

    assert refusal.value.hint == "its columns are 'prediction_id', 'truth'"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (b"a,7\nb\n", "line 3 of labels.csv has 1 values, the header has 2"),
        (b"a,7\nb,7,8\n", "line 3 of labels.csv has 3 values, the header has 2"),
        (b'a,7\nb,"7"8\n', "line 3 of labels.csv is no CSV"),
        (b'a,7\nb,"7', "line 3 of labels.csv is no CSV"),
        (b"a,7\nb,\xff\n", "labels.csv is not UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: bytes, reason: str) -> None:
    """A line that cannot be read refuses the rest of the file with its number."""
    with pytest.raises(FairleadError, match=reason) as refusal:
        every(csv(tmp_path, b"prediction_id,label\n" + lines))

    assert refusal.value.code is Code.INVALID_ARGUMENT


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A file of something else under the name of Parquet is refused."""
    path = tmp_path / "labels.parquet"
    path.write_text("prediction_id,label\n")

    with pytest.raises(FairleadError, match=r"labels\.parquet is no Parquet") as refusal:
        every(path)

    assert refusal.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(("name", "code"), [("labels.xlsx", Code.INVALID_ARGUMENT), ("none.csv", Code.NOT_FOUND)])
def test_no_such_file(tmp_path: Path, name: str, code: Code) -> None:
    """A file that is not there, or of another kind, is refused by its name."""
    with pytest.raises(FairleadError, match=name) as refusal:
        every(tmp_path / name)

    assert refusal.value.code is code


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path) -> None:
    """Where the extra is not installed, the error names it, and CSV is read all the same."""
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path; from fairlead.monitoring.label_file import read_labels\n"
        "print(len(list(read_labels(Path(sys.argv[1])))))\n"
        "try: list(read_labels(Path(sys.argv[2])))\n"
        "except Exception as error: print(error)\n"
    )
    paths = [csv(tmp_path, "prediction_id,label\na,7\n"), table(tmp_path, prediction_id=["a"], label=["7"])]

    said = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True).stdout

    assert said.startswith("1\n")
    assert "pip install 'fairlead[parquet]'" in said
