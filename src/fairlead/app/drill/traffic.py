"""Synthetic traffic over HTTP, bounded in rate: rows like the golden ones, and the truth for some of the answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.signature import Array, Tensors
from fairlead.store.store import Version

__all__ = ["LABELLED", "RATE", "Answer", "Row", "Said", "Traffic", "ask", "rows_like_golden"]

RATE = 100.0
"""Requests a second, all callers together."""
LABELLED = 0.5
"""The share of answers whose truth is told."""

_ROWS = 64
_NOISE = 0.02
_CALLERS = 4
_TIMEOUT_S = 10.0
_LABELS_EVERY_S = 0.25
_MOST_LABELS = 1000
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row to ask with: the body of a request for it alone, and the label that is taken for the truth."""

    body: bytes
    truth: str


class Said(NamedTuple):
    """What the server said to a row."""

    version: int
    label: str
    prediction_id: str


class Answer(NamedTuple):
    """An answer to a request: when it came, by `time.monotonic`, of which version, and whether it was right."""

    at_s: float
    version: int
    is_right: bool


def rows_like_golden(version: Version, *, seed: int) -> tuple[Row, ...]:
    """The version's golden rows and variations of them by a little noise, with the version's own answers as the truth.

    The noise has a standard deviation of 2 % of a floating-point input's range, and does not leave that range.
    """
    golden = Golden.load(version.directory / GOLDEN_FILE)
    rng = np.random.default_rng(seed)
    cases = len(next(iter(golden.inputs.values())))
    servable, _ = open_model(version.directory / MODEL_FILE)
    rows = []
    for number in range(max(_ROWS, cases)):
        place = number % cases
        row = {name: array[place : place + 1] for name, array in golden.inputs.items()}
        if number >= cases:
            row = {name: _varied(array, golden.inputs[name], rng) for name, array in row.items()}
        (scores,) = servable.predict(row).values()
        rows.append(Row(body=_body(row), truth=version.manifest.labels[int(scores[0].argmax())]))
    servable.close()
    return tuple(rows)


def ask(connection: http.client.HTTPConnection, model: str, row: Row) -> Said:
    """Ask for one row.

    Raises:
        FairleadError: UNAVAILABLE when no answer came, or it is not a 200 with a class.
    """
    body = _post(connection, f"/predict?{urlencode({'model': model})}", row.body)
    first = body["predictions"][0]
    return Said(version=body["version"], label=first["label"], prediction_id=first["prediction_id"])


class Traffic:
    """Callers of `/predict`, and one that tells the truth to `/feedback`, for as long as the context lasts.

    Half of the callers keep their connection and half take a new one each time, so that every worker is asked.

    Args:
        port: of the server, on this machine.
        model: which is asked.
        rows: what it is asked.

    Attributes:
        answers: in the order in which they came.
        failures: one sentence for each request that failed.
        labels: how many were taken in.
    """

    def __init__(self, port: int, model: str, rows: Sequence[Row]) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self.labels = 0
        self._port = port
        self._model = model
        self._rows = rows
        self._over = threading.Event()
        self._truths: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(_CALLERS)]
        self._threads.append(threading.Thread(target=self._label))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def since(self, since_s: float) -> list[Answer]:
        """The answers from then on; those of several callers may be a little out of order."""
        return [answer for answer in tuple(self.answers) if answer.at_s >= since_s]

    def settled(self, version: int, *, since_s: float, quiet_s: float, least: int) -> float | None:
        """Seconds from `since_s` until the last answer of any other version; 0.0 when there was none after it.

        None while that is less than `quiet_s` ago, or fewer than `least` answers came after it.
        """
        last_s, after = since_s, 0
        for answer in self.since(since_s):
            last_s, after = (last_s, after + 1) if answer.version == version else (answer.at_s, 0)
        is_over = time.monotonic() - last_s >= quiet_s and after >= least
        return last_s - since_s if is_over else None

    def _call(self, caller: int) -> None:
        connection, rng = self._connect(), np.random.default_rng(caller)
        pause_s = _CALLERS / RATE
        due_s = time.monotonic() + caller * pause_s / _CALLERS
        while True:
            now_s = time.monotonic()
            due_s = max(due_s + pause_s, now_s - pause_s)  # who fell behind does not make up for it in a burst
            if self._over.wait(max(0.0, due_s - now_s)):
                break
            if caller % 2:
                connection.close()
            row = self._rows[int(rng.integers(len(self._rows)))]
            self._ask(connection, row, is_labelled=rng.random() < LABELLED)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, row: Row, *, is_labelled: bool) -> None:
        try:
            said = ask(connection, self._model, row)
        except FairleadError as error:
            self.failures.append(error.message)
            return
        self.answers.append(Answer(time.monotonic(), said.version, said.label == row.truth))
        if is_labelled:
            self._truths.put((said.prediction_id, row.truth))

    def _label(self) -> None:
        """Tell the truth; what is not taken in is told again, as a client does until it is acknowledged."""
        connection = self._connect()
        untold: list[dict[str, str]] = []
        is_over = False
        while not is_over:
            is_over = self._over.wait(_LABELS_EVERY_S)
            untold += self._known()
            if not untold:
                continue
            try:
                _post(connection, "/feedback", json.dumps({"labels": untold}).encode())
            except FairleadError as error:
                if is_over:
                    self.failures.append(f"{len(untold)} labels were never taken in: {error.message}")
            else:
                self.labels += len(untold)
                untold = []
        connection.close()

    def _known(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        with contextlib.suppress(queue.Empty):
            while len(found) < _MOST_LABELS:
                id_, truth = self._truths.get_nowait()
                found.append({"prediction_id": id_, "label": truth})
        return found

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)


def _post(connection: http.client.HTTPConnection, path: str, body: bytes) -> Any:
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise FairleadError(Code.UNAVAILABLE, f"POST {path} brought no answer: {error!r}") from error
    if response.status != _OK:
        raise FairleadError(Code.UNAVAILABLE, f"POST {path} was answered with {response.status}: {text[:200]!r}")
    return json.loads(text)


def _varied(row: Array, all_rows: Array, rng: np.random.Generator) -> Array:
    """A neighbour of the row; what is not a floating-point number, or is missing, stays as it is."""
    if row.dtype.kind != "f" or np.isnan(all_rows).all():
        return row
    low, high = float(np.nanmin(all_rows)), float(np.nanmax(all_rows))
    noisy = row + rng.normal(0.0, _NOISE * (high - low), row.shape)
    return np.asarray(noisy.clip(low, high), row.dtype)


def _body(row: Tensors) -> bytes:
    values = {name: None if _is_missing(array) else np.asarray(array[0]).tolist() for name, array in row.items()}
    return json.dumps({"instances": [values if len(values) > 1 else next(iter(values.values()))]}).encode()


def _is_missing(row: Array) -> bool:
    return row.dtype.kind == "f" and bool(np.isnan(row).all())
