"""What a user writes first: FastAPI, orjson and ONNX Runtime in one file, run inline. The Python peer to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from benchmarks.peers.classifier import Classifier

app = FastAPI()
classify = Classifier()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """One batch of rows."""
    body: dict[str, Any] = orjson.loads(await request.body())
    probs = classify(np.array(body["instances"], np.float32))
    return Response(
        orjson.dumps({"predictions": probs}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json"
    )
