"""Recent predictions as the console shows and labels them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import Engine

from fairlead.app.console.records import Records
from fairlead.app.control import open_feedback, open_journal
from fairlead.console.ports import Chosen, Document, Done
from fairlead.controller.journal import Action
from fairlead.errors import FairleadError
from fairlead.monitoring.feedback import Outcome
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction_log import LoggedRow, PredictionLog
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

__all__ = ["LivePredictions"]

_PAGE = 50
_MOST_SOURCE = 64
_PICTURE_AXES = (2, 3)
_LONGEST_SIDE = 512
_OUTCOMES = {
    Outcome.JOINED: "It counts from now on.",
    Outcome.WAITING: "It counts as soon as the prediction is in the log.",
    Outcome.REPEATED: "The same was said before; nothing changed.",
    Outcome.CORRECTED: "It counts from now on in place of what was said before.",
    Outcome.UNKNOWN: "That prediction is not in the log; nothing was kept.",
}


class LivePredictions:
    """A `PredictionsView` of the running system.

    Args:
        records: the database with predictions and labels.
        store: knows the versions' classes.
    """

    def __init__(self, records: Records, store: Store) -> None:
        self._records = records
        self._store = store

    def predictions(self, model: str, chosen: Chosen) -> Document:
        engine = self._records.find()
        rows = (
            PredictionLog(engine).newest(
                model, limit=_PAGE, version=chosen.version, arm=chosen.arm, before=chosen.before
            )
            if engine is not None
            else []
        )
        return {
            "model": model,
            "version": chosen.version,
            "arm": chosen.arm,
            "versions": list(reversed(self._store.versions(model))),
            "rows": self._told(engine, rows) if engine is not None else [],
            "classes": {str(version): self._classes(model, version) for version in {one.row.version for one in rows}},
            "older": rows[-1].seq if len(rows) == _PAGE else None,
        }

    def label(self, user: str, prediction: str, label: str) -> Done:
        engine = self._records.require()
        feedback, source = open_feedback(engine, self._store), f"console:{user}"[:_MOST_SOURCE]
        (taken,) = feedback.give([Label(prediction_id=prediction, label=label)], source=source)
        kept = feedback.current([taken.prediction_id]).get(taken.prediction_id, "")  # redacted, where people are in it
        if taken.outcome not in (Outcome.REPEATED, Outcome.UNKNOWN):
            row = PredictionLog(engine).find(taken.prediction_id)
            open_journal(engine, user).write(
                Action.LABELLED,
                model=row.row.model if row else "",
                subject=taken.prediction_id,
                why=f"the truth is {kept}" + (f", the answer was {row.row.predicted}" if row else ""),
                evidence={"label": kept, "outcome": taken.outcome.value},
            )
        said = f"{kept} is the label of {taken.prediction_id}. " if kept else ""
        return Done(text=f"{said}{_OUTCOMES[taken.outcome]}")

    def _told(self, engine: Engine, rows: list[LoggedRow]) -> list[dict[str, Any]]:
        ids = [one.row.id for one in rows]
        labels = open_feedback(engine, self._store).current(ids)
        pictures = {id_: _picture(data) for id_, data in PredictionLog(engine).payloads(ids).items()}
        return [
            {
                "id": row.id,
                "at_us": row.at_us,
                "version": row.version,
                "arm": row.arm,
                "error": row.error,
                "latency_us": row.latency_us,
                "predicted": row.predicted,
                "confidence": row.confidence,
                "label": labels.get(row.id),
                "picture": pictures.get(row.id, ""),
            }
            for row in (one.row for one in rows)
        ]

    def _classes(self, model: str, version: int) -> list[str]:
        try:
            return list(self._store.manifest(ServableId(model, version)).labels)
        except FairleadError:
            return []


def _picture(payload: bytes) -> str:
    """The input as a picture in the page, where it is one: grey or in colours, from 0 to 1 or to 255; else nothing."""
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            (array,) = (arrays[name] for name in arrays.files)
    except (ValueError, OSError):
        return ""
    array = np.squeeze(array)
    is_picture = array.ndim in _PICTURE_AXES and array.dtype.kind in "fiu" and max(array.shape) <= _LONGEST_SIDE
    if not is_picture or (array.ndim == max(_PICTURE_AXES) and array.shape[-1] != len("RGB")):
        return ""
    scale = 255.0 if np.nanmax(array, initial=0.0) <= 1.0 else 1.0
    shades = np.clip(np.nan_to_num(array * scale), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(shades).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
