"""What a user writes first: FastAPI, orjson and ONNX Runtime in one file, run inline. The peer to beat.

uvicorn fastapi_onnx:app --port 8600      with MODEL=model.onnx in the environment
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Answers once the model is loaded, which is before the port opens."""
    return {"ready": True}


@app.post("/predict")
async def predict(request: Request) -> Response:
    """One batch of rows."""
    body: dict[str, Any] = orjson.loads(await request.body())
    outputs = session.run(None, {name: np.array(body["instances"], np.float32)})
    return Response(
        orjson.dumps({"predictions": outputs[0]}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json"
    )
