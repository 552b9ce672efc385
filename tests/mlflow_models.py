"""Model directories of MLflow's: of scikit-learn's estimators, and one written by hand that does as the rows say."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

__all__ = [
    "CHAT",
    "CRASH",
    "EAT",
    "FAIL",
    "HANG",
    "KIND",
    "MOODY",
    "NAN",
    "REFUSE",
    "SHAPE",
    "signature",
    "write_obedient",
    "write_pickled",
]

(HANG, CRASH, NAN, SHAPE, KIND, MOODY, REFUSE, FAIL, EAT, CHAT) = range(1, 11)
"""What the first number of the first row asks for; 0 for the double of each number."""

_CODE = '''
import os
import sys
import time

import numpy as np


class Model:
    """Does as the first number says."""

    def __init__(self):
        self.calls = 0

    def predict(self, rows, params=None):
        self.calls += 1
        rows = np.asarray(rows)
        match int(np.ravel(rows)[0]):
            case 1:
                time.sleep(600)
            case 2:
                print("the last words", file=sys.stderr, flush=True)
                os.abort()
            case 3:
                return rows * np.nan
            case 4:
                return rows[:-1]
            case 5:
                return rows.astype(np.complex64)
            case 6:
                return rows * self.calls
            case 7:
                raise ValueError("rows like these are not taken")
            case 8:
                raise RuntimeError("a bug")
            case 9:
                return rows * np.ones(2**33).sum()
            case 10:
                print("chatter")
        return rows * 2


def _load_pyfunc(path):
    return Model()
'''


def signature(dtype: str = "float32", width: int = 2) -> dict[str, str]:
    """Rows of numbers in, as many out, as MLflow writes it."""
    tensor = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, width]}}])
    return {"inputs": tensor, "outputs": tensor}


def write_obedient(directory: Path, said: dict[str, str] | None, *, requires: str = "") -> None:
    """Write it, with a signature or without one."""
    code = directory / "code"
    code.mkdir(parents=True)
    (code / "obedient_model.py").write_text(_CODE)
    flavor = {"loader_module": "obedient_model", "code": "code", "python_version": "3.11"}
    told: dict[str, Any] = {"flavors": {"python_function": flavor}}
    if said is not None:
        told["signature"] = said
    (directory / "MLmodel").write_text(json.dumps(told))  # which is YAML too
    (directory / "requirements.txt").write_text(requires)


def write_pickled(directory: Path, estimator: Any, example: Any) -> None:
    """Write an estimator of scikit-learn's with MLflow's own library, which pickles it; rows come along."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about itself, when it is imported
        import mlflow.sklearn

        signature = mlflow.models.infer_signature(example, estimator.predict(example))
        mlflow.sklearn.save_model(
            estimator,
            str(directory),
            signature=signature,
            input_example=example,
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
