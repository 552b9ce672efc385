"""A model directory of MLflow's, as far as its description goes: `MLmodel` is read as data, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

__all__ = ["MLMODEL_FILE", "PYFUNC_FLAVOR", "MlflowModel", "read_mlflow_model"]

MLMODEL_FILE: Final = "MLmodel"
PYFUNC_FLAVOR: Final = "python_function"
_MOST_BYTES: Final = 2**24
_FILES: Final[Mapping[str, str]] = {"onnx": "data", "tensorflow": "saved_model_dir"}
"""By the flavour that needs no Python of the model's: where it says what its file or directory is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowModel:
    """What `MLmodel` says.

    Attributes:
        directory: where the model is.
        flavors: how it can be loaded, by name, with what each needs.
        signature: what it takes and gives, in MLflow's own words; None where it does not say.
    """

    directory: Path
    flavors: Mapping[str, Mapping[str, Any]]
    signature: object = None

    @property
    def plain(self) -> tuple[str, Path] | None:
        """A flavour that is data alone, and its file or directory; None where Python has to be run.

        Raises:
            FairleadError: FAILED_PRECONDITION when what it names is not in the directory.
        """
        for flavor, key in _FILES.items():
            named = self.flavors.get(flavor, {}).get(key)
            if isinstance(named, str):
                return flavor, self._inside(named)
        return None

    def _inside(self, named: str) -> Path:
        path = self.directory / named
        if not path.exists() or not path.resolve().is_relative_to(self.directory.resolve()):
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{self.directory / MLMODEL_FILE} names {named!r}, which is not beside it"
            )
        return path


def read_mlflow_model(directory: Path) -> MlflowModel:
    """What the `MLmodel` in `directory` says.

    Raises:
        FairleadError: DATA_LOSS when it is none.
    """
    with needs_extras("reading a model of MLflow's", INSTALL_CONTROL):
        import yaml  # noqa: PLC0415 - part of an extra
    path = directory / MLMODEL_FILE
    try:
        with path.open("rb") as file:
            told = yaml.safe_load(file.read(_MOST_BYTES))
        flavors = {str(name): dict(needs) for name, needs in told["flavors"].items()}
        signature = told.get("signature")
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise FairleadError(
            Code.DATA_LOSS, f"{path} is no description of a model: {type(error).__name__}: {said}"
        ) from error
    return MlflowModel(directory=directory, flavors=flavors, signature=signature)
