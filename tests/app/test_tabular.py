"""A model of a table, published and served: named columns with types, and what is no such row is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from tests.app.asking import WAYS, Way, v1_grpc, v2_binary, v2_grpc
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting
from tests.conversion.test_lightgbm import JOBS, OTHERS, PAID, PEOPLE, SMALL

import fairlead
from fairlead.app.drill.traffic import rows_like_golden
from fairlead.app.intake import Intake
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.identity import ServableId
from fairlead.servable.sample import samples
from fairlead.servable.signature import Tensors
from fairlead.store.store import Store

MODEL = LGBMClassifier(**SMALL).fit(PEOPLE, np.where(PAID, "paid", "not paid"))
RANGES = {"age": (16, 120)}
ROW: dict[str, Any] = {"age": 39, "hours-per-week": 40.5, "job": "Nurse", "member": True, "debt": 0.1}


def publish(settings: Settings, **options: Any) -> Intake:
    """The model, with people that it has seen."""
    return fairlead.publish(MODEL, name="people", sample=PEOPLE, settings=settings, **options)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Where it is published, and its predictions are logged."""
    return Settings(home=tmp_path_factory.mktemp("tabular") / "home")


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of it."""
    publish(settings, ranges=RANGES)
    with starting(tmp_path_factory.mktemp("server")) as start:
        server = start(settings.store_path, "--workers", "1", "--home", str(settings.home))
        server.wait_ready()
        yield server


def sent(table: Any) -> Tensors:
    """The columns as clients send them; binary protocols have an empty text for one that is missing."""
    return {
        name: table[name].astype(object).fillna("").to_numpy(object) if name == "job" else table[name].to_numpy()
        for name in table
    }


@pytest.mark.parametrize("ask", WAYS)
def test_served_answers_are_the_models(server: Server, ask: Way) -> None:
    """In every protocol, to 1e-6; JSON has null, here an empty text and NaN, for what is missing."""
    known = OTHERS if ask in (v1_grpc, v2_binary, v2_grpc) else OTHERS[OTHERS.notna().all(axis=1)]
    reply = ask(server, "people", sent(known))

    assert reply.code == "OK", reply.said
    np.testing.assert_allclose(reply.values, MODEL.predict_proba(known), atol=1e-6)


def v1_rows(server: Server, rows: list[Any]) -> tuple[int, Any]:
    """TensorFlow Serving's row form."""
    return server.call("POST", "/v1/models/people:predict", json.dumps({"instances": rows}).encode())


def v1_columns(server: Server, rows: list[Any]) -> tuple[int, Any]:
    """TensorFlow Serving's column form."""
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    return server.call("POST", "/v1/models/people:predict", json.dumps({"inputs": columns}).encode())


def v2_json(server: Server, rows: list[Any]) -> tuple[int, Any]:
    """The Open Inference Protocol in JSON."""
    types = {"age": "INT64", "job": "BYTES", "member": "BOOL"}
    inputs = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": types.get(name, "FP64"),
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]
    return server.call("POST", "/v2/models/people/infer", json.dumps({"inputs": inputs}).encode())


def simple(server: Server, rows: list[Any]) -> tuple[int, Any]:
    """`POST /predict`."""
    return server.call("POST", "/predict?model=people", json.dumps({"instances": rows}).encode())


ASK = [v1_rows, v1_columns, v2_json, simple]
Ask = Callable[[Server, list[Any]], tuple[int, Any]]


@pytest.mark.parametrize("ask", ASK)
def test_null_is_a_value_that_is_missing(server: Server, ask: Ask) -> None:
    """Of a number or a category, where the sample had missing ones."""
    rows = [ROW, ROW | {"hours-per-week": None}, ROW | {"job": None}, ROW | {"job": None, "hours-per-week": None}]
    table = pd.DataFrame(rows).astype({"job": PEOPLE["job"].dtype, "hours-per-week": float})
    status, answer = ask(server, rows)
    assert status == 200, answer
    if "outputs" in answer:
        got = answer["outputs"][0]["data"] if isinstance(answer["outputs"][0], dict) else answer["outputs"]
    else:
        got = [row["probabilities"].values() if isinstance(row, dict) else row for row in answer["predictions"]]
        got = [list(row) for row in got]
    np.testing.assert_allclose(np.reshape(got, (4, 2)), MODEL.predict_proba(table), atol=1e-6)


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"job": "Astronaut"}, "'job' is 'Astronaut' in row 1"),
        ({"age": 15}, "'age' is 15 in row 1, and the model takes 16 to 120"),
        ({"debt": None}, "'debt' is missing in row 1"),
        ({"age": None}, "'age' is missing in row 1"),
        ({"age": "old"}, "age"),
        ({"age": 39.5}, "age"),
        ({"hours-per-week": "many"}, "hours-per-week"),
        ({"job": 5}, "job"),
        ({"member": 1}, "member"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_column(
    server: Server, ask: Ask, change: dict[str, Any], told: str
) -> None:
    """In every protocol that has JSON, before the model is asked."""
    status, answer = ask(server, [ROW, ROW | change])
    assert status == 400
    assert told in json.dumps(answer).replace("\\u0027", "'")


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("odd", ["debt", "depth"])
def test_a_row_has_all_columns_and_no_other(server: Server, ask: Ask, odd: str) -> None:
    """What is too much, or too little, is named."""
    row = {name: value for name, value in ROW.items() if name != odd} | ({} if odd in ROW else {odd: 1.0})
    status, answer = ask(server, [row])
    assert status == 400
    assert odd in json.dumps(answer)


BINARY_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"job": "Astronaut"}, "'job' is 'Astronaut' in row 0"),
    ({"job": None}, ""),
    ({"age": 200}, "'age' is 200 in row 0"),
    ({"debt": np.nan}, "'debt' is missing in row 0"),
    ({"hours-per-week": np.nan}, ""),
    ({"debt": np.inf}, "'debt' is inf in row 0"),
]


@pytest.mark.parametrize(("change", "told"), BINARY_FAULTS)
def test_tensors_of_infer_are_looked_at(server: Server, change: dict[str, Any], told: str) -> None:
    """In the Open Inference Protocol: texts as bytes, numbers as they lie in memory."""
    reply = v2_grpc(server, "people", sent(pd.DataFrame([ROW | change])))

    assert reply.code == ("INVALID_ARGUMENT" if told else "OK")
    assert told in reply.said


@pytest.mark.parametrize(("change", "told"), [*BINARY_FAULTS, ({"depth": 1.0}, "depth"), ({"age": 1.5}, "age")])
def test_tensors_of_predict_are_looked_at(server: Server, change: dict[str, Any], told: str) -> None:
    """In TensorFlow Serving's."""
    reply = v1_grpc(server, "people", sent(pd.DataFrame([ROW | change])))

    assert reply.code == ("INVALID_ARGUMENT" if told else "OK")
    assert told in reply.said


def test_what_a_column_may_be_is_told(server: Server) -> None:
    """`GET /models` has categories, bounds, and where values may be missing."""
    _, told = server.call("GET", "/models")
    inputs = {given["name"]: given for given in told["models"][0]["versions"][0]["inputs"]}
    assert inputs["job"]["column"] == {"categories": JOBS, "may_be_missing": True}
    assert inputs["age"]["column"] == {"minimum": 16, "maximum": 120, "may_be_missing": False}


def test_drift_is_told_by_column_and_category(
    server: Server, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked is held against the sample, once labels have come as for any model."""
    changed = OTHERS.assign(job=pd.Categorical(["Pilot"] * len(OTHERS), categories=JOBS))
    changed["hours-per-week"] = np.where(np.arange(len(OTHERS)) < len(OTHERS) // 2, np.nan, changed["hours-per-week"])
    rows = changed.astype(object).where(changed.notna(), None).to_dict("records") * 2
    found: dict[str, Any] = {}

    def is_told() -> bool:
        status, answer = simple(server, rows)  # again and again: not more than some rows a second are measured
        assert status == 200, answer
        label = {"prediction_id": answer["predictions"][0]["prediction_id"], "label": "paid"}
        wait_until(lambda: server.call("POST", "/feedback", json.dumps(label).encode())[0] == 200)
        assert main(["quality", "people", "--home", str(settings.home), "--json"]) == 0
        arms = json.loads(capsys.readouterr().out)["arms"]  # none before the first rows are in the database
        features = [one for arm in arms for one in arm["newest"]["drift"]["features"]]
        found.update({one["feature"]: one["reason"] for one in features if one["is_drifted"]})
        return "job" in found and all(arm["accuracy"] for arm in arms)

    wait_until(is_told)
    assert "'Pilot' in job rose" in found["job"]
    assert "hours-per-week is missing in" in found["hours-per-week"]
    assert "age" not in found


def test_rows_that_are_made_up_are_taken(server: Server, settings: Settings) -> None:
    """Those of a drill, some with missing values, and those that a file from elsewhere is tried with."""
    version = Store(settings.store_path).open(ServableId("people", 1))
    for row in rows_like_golden(version, seed=0):
        status, answer = server.call("POST", "/predict?model=people", row.body)
        assert (status, answer["predictions"][0]["label"]) == (200, row.truth)
    for made in samples(version.manifest.signature):
        version.manifest.signature.check_inputs(made)


def test_a_range_is_kept_by_the_sample_and_has_a_column(tmp_path: Any) -> None:
    """Else it is a mistake, and nothing is published."""
    settings = Settings(home=tmp_path)
    for ranges, told in (
        ({"age": (30, 40)}, "column 'age' is"),
        ({"years": (0, 1)}, "a range for 'years'"),
        ({"job": (0, 1)}, "a range for 'job'"),
    ):
        with pytest.raises(FairleadError, match=told) as caught:
            publish(settings, ranges=ranges)
        assert caught.value.code is Code.INVALID_ARGUMENT
    assert not settings.store_path.exists()


def test_a_later_version_takes_what_the_one_that_serves_takes(tmp_path: Any) -> None:
    """Wider ranges are fine; narrower ones would refuse callers that are answered now."""
    settings = Settings(home=tmp_path)
    first = publish(settings, ranges=RANGES)
    wider = publish(settings, ranges={"age": (0, 150)})
    assert first.signature.inputs[0].column == Column(minimum=16, maximum=120)
    assert wider.version is not None
    with pytest.raises(FairleadError, match=r"'age' int64\[-1\] \(17 to 90\) was 'age' int64\[-1\] \(16 to 120\)"):
        publish(settings, ranges={"age": (17, 90)})
