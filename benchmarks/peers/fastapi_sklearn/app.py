"""What a user writes first for a text model: FastAPI, orjson and the pickled scikit-learn pipeline, run inline."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

app = FastAPI()
pipeline: Any = pickle.loads(Path(os.environ["PIPELINE"]).read_bytes())  # noqa: S301 - the benchmark wrote it


@app.post("/predict")
async def predict(request: Request) -> Response:
    """One text."""
    body: dict[str, Any] = orjson.loads(await request.body())
    (scores,) = pipeline.predict_proba([body["text"]])
    best = int(scores.argmax())
    answer = {"label": ("ham", "spam")[best], "proba": float(scores[best])}
    return Response(orjson.dumps(answer), media_type="application/json")
