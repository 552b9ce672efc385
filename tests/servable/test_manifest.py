"""A manifest comes back as it was written, or says what is wrong with it."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Cost, Manifest
from fairlead.testing import DIGIT_SIGNATURE

DIGEST = "0123456789abcdef" * 4
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIGURES = st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | FIGURES | TEXTS, lambda inner: st.lists(inner, max_size=3)
    ),
    max_size=3,
)
MANIFESTS = st.builds(
    Manifest,
    model=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(str.isascii),
    version=st.integers(1, 2**63 - 1),
    runtime=TEXTS,
    signature=st.just(DIGIT_SIGNATURE),
    labels=st.lists(TEXTS, max_size=3).map(tuple),
    files=st.dictionaries(st.sampled_from(["model.onnx", "golden.npz", "a"]), st.just(DIGEST)),
    created_at=st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda stamp: stamp.replace(microsecond=0)
    ),
    transform=DOCUMENTS,
    metrics=st.dictionaries(TEXTS, FIGURES, max_size=3),
    gate=DOCUMENTS,
    lineage=DOCUMENTS,
    cost=st.none() | st.builds(Cost, peak_memory_bytes=st.integers(0, 2**60), ms_per_row=FIGURES),
    latency_objective_ms=FIGURES,
)


def manifest(**changes: Any) -> Manifest:
    """A small manifest."""
    values: dict[str, Any] = {
        "model": "m",
        "version": 3,
        "runtime": "onnx",
        "signature": DIGIT_SIGNATURE,
        "labels": ("a", "b"),
        "files": {"model.onnx": DIGEST},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Manifest(**{**values, **changes})


def body(**changes: Any) -> dict[str, Any]:
    """What the small manifest holds on disk, with some of it changed and no seal, as manifests once were."""
    document: dict[str, Any] = json.loads(manifest().encode())
    del document["seal"]
    return {**document, **changes}


def refuse(data: bytes) -> FairleadError:
    """The error that reading `data` raises."""
    with pytest.raises(FairleadError) as caught:
        Manifest.decode(data, "/store/m/3/manifest.json")
    return caught.value


@given(MANIFESTS)
def test_what_is_written_is_read(written: Manifest) -> None:
    """Every field comes back equal."""
    assert Manifest.decode(written.encode()) == written


def test_the_file_is_for_people_too() -> None:
    """Indented, in UTF-8 without escapes, ending in a newline."""
    text = manifest(labels=("sí", "no")).encode().decode()

    assert '\n  "schema_version": 1,\n  "model": "m",\n  "version": 3,\n' in text
    assert '"sí"' in text
    assert text.endswith("}\n")


def test_times_are_kept_in_utc() -> None:
    """A manifest made at 02:00 in a zone two hours ahead was made at 00:00."""
    there = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert body()["created_at"] == "2026-01-01T00:00:00+00:00"
    assert json.loads(manifest(created_at=there).encode())["created_at"] == "2026-01-01T00:00:00+00:00"


def test_a_manifest_knows_its_id() -> None:
    """Model and version together."""
    assert manifest().id == ServableId("m", 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xfe\xfa",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"{}",
        b'{"schema_version": 1}',
        b"[" * 100_000,
        b'{"schema_version": 1' + b"0" * 5000 + b"}",
        manifest().encode()[:-40],
    ],
)
def test_what_is_no_manifest_is_data_loss(data: bytes) -> None:
    """Empty, torn, foreign and hostile bytes are all named by their file."""
    error = refuse(data)

    assert error.code is Code.DATA_LOSS
    assert error.message.startswith("/store/m/3/manifest.json is not a manifest: ")


@pytest.mark.parametrize("key", sorted(body().keys()))
def test_every_key_must_be_there(key: str) -> None:
    """A manifest without one of its keys is damaged, and the key is named."""
    damaged = {name: value for name, value in body().items() if name != key}
    error = refuse(json.dumps(damaged).encode())

    assert error.code is Code.DATA_LOSS
    assert error.message == f"/store/m/3/manifest.json is not a manifest: KeyError: '{key}'"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "../m"},
        {"version": -1},
        {"version": "three"},
        {"version": None},
        {"version": float("inf")},
        {"version": float("nan")},
        {"signature": []},
        {"signature": {"inputs": [], "outputs": []}},
        {"signature": {"inputs": [{"name": "x", "dtype": "float33", "shape": []}], "outputs": []}},
        {"signature": {"inputs": [{"name": "x", "dtype": "float32", "shape": [1e400]}], "outputs": []}},
        {"labels": 5},
        {"files": ["model.onnx"]},
        {"files": {"model.onnx": "abc"}},
        {"files": {"model.onnx": DIGEST.upper()}},
        {"created_at": "yesterday"},
        {"created_at": 1767225600},
        {"created_at": "2026-01-01T00:00:00"},
        {"transform": 3},
        {"metrics": {"accuracy": "high"}},
        {"metrics": []},
        {"gate": "passed"},
        {"cost": {"peak_memory_bytes": 1}},
        {"cost": {"peak_memory_bytes": float("inf"), "ms_per_row": 1}},
        {"latency_objective_ms": None},
    ],
)
def test_a_damaged_value_is_data_loss(change: dict[str, Any]) -> None:
    """Each value is checked as it is read, so that nothing damaged travels on."""
    error = refuse(json.dumps(body(**change)).encode())

    assert error.code is Code.DATA_LOSS
    assert error.message.startswith("/store/m/3/manifest.json is not a manifest: ")


@given(st.data())
def test_no_flipped_byte_changes_what_a_manifest_says(data: st.DataObject) -> None:
    """Its seal finds it, be it in a label, a digest or a figure."""
    damaged = bytearray(manifest().encode())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = Manifest.decode(bytes(damaged))
    except FairleadError:
        return
    assert read == manifest()


@given(st.data())
def test_any_flipped_byte_is_read_or_refused(data: st.DataObject) -> None:
    """No damage escapes as another kind of error."""
    damaged = bytearray(manifest().encode())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        Manifest.decode(bytes(damaged))
    except FairleadError as error:
        assert error.code in (Code.DATA_LOSS, Code.FAILED_PRECONDITION)  # noqa: PT017 - not every flip is damage


@pytest.mark.parametrize("schema", [2, 99, "2", None])
def test_a_newer_schema_is_refused_with_the_way_out(schema: object) -> None:
    """What a newer Fairlead wrote is not guessed at, even when its other keys are unknown."""
    error = refuse(json.dumps({"schema_version": schema, "all": "new"}).encode())

    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (f"/store/m/3/manifest.json has schema version {schema!r}; this Fairlead reads 1")
    assert error.hint == "pip install --upgrade fairlead"


def test_keys_of_later_releases_are_passed_over() -> None:
    """Within one schema a new key does not stop an older reader."""
    assert Manifest.decode(json.dumps(body(signed_by="somebody")).encode()) == manifest()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", ".hidden", "a\0b", "a\n", "é", "-rf", "a" * 129]
)
def test_a_file_name_is_never_a_path(name: str) -> None:
    """A manifest cannot make the store read outside the version's directory."""
    assert refuse(json.dumps(body(files={name: DIGEST})).encode()).code is Code.DATA_LOSS
    with pytest.raises(FairleadError, match="is not a file name and its SHA-256"):
        manifest(files={name: DIGEST})


def test_a_time_without_a_zone_is_refused() -> None:
    """It could not be compared with any other."""
    with pytest.raises(FairleadError, match="created_at 2026-01-01 00:00:00 has no time zone"):
        manifest(created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


def test_figures_that_json_has_no_word_for_are_not_written() -> None:
    """A NaN would make a manifest that other readers refuse."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest(metrics={"accuracy": float("nan")}).encode()
