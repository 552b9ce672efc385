"""MLflow: a directory with a model of its ONNX flavour, which `mlflow models serve` and its registry take."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from fairlead.exporting.onnx_file import load_onnx
from fairlead.exporting.target import Source, proven
from fairlead.training.extras import needs_extras

__all__ = ["write_mlflow"]

_INSTALL = "pip install 'fairlead[train,optimize]' pandas"


def write_mlflow(source: Source, target: Path) -> float:
    """Write the version as a model of MLflow's, load it as any of them, and ask it; see `Target.write`.

    Raises:
        FairleadError: FAILED_PRECONDITION when MLflow is not installed or what it loads answers something else.
    """
    with needs_extras("writing for MLflow", _INSTALL), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between MLflow and its libraries: no user can act on them
        import mlflow.onnx  # noqa: PLC0415 - part of an extra
        import mlflow.pyfunc  # noqa: PLC0415 - part of an extra

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        manifest = source.manifest
        mlflow.onnx.save_model(
            load_onnx(source),
            str(target),
            metadata={"model": manifest.model, "version": manifest.version, "labels": list(manifest.labels)},
            pip_requirements=["mlflow", "numpy", "onnx", "onnxruntime", "pandas"],
        )
        found: dict[str, Any] = mlflow.pyfunc.load_model(str(target)).predict(dict(source.golden.inputs))
    return proven(source, found, "the model of MLflow's")
