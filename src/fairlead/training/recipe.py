"""The port a user writes, and how a recipe is found.

A recipe is a file `recipe.py` that defines `recipe`, an object with the methods below. Its folder is loaded as a
package of its own, under a name made from its path: files beside it are imported with a leading dot
(`from .data import load`), and two recipes with a `data.py` each never meet. It may have one member more, `thresholds`:
where the gate draws its lines for this model.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

import fairlead
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import check_model_name
from fairlead.servable.transform import PictureTransform
from fairlead.training.dataset import Dataset, Split
from fairlead.training.extras import INSTALL
from fairlead.training.run import Run

__all__ = ["Recipe", "Sources", "find_recipe"]

_FILE = "recipe.py"
_MEMBERS = ("name", "labels", "transform", "load", "split", "train", "predict", "export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a recipe may take data from.

    Attributes:
        data_dir: data sets that are already on this machine; None when there are none.
        cache_dir: where downloads are kept.
        say: tells the user one line, such as which source was chosen.
    """

    data_dir: Path | None
    cache_dir: Path
    say: Callable[[str], None]


class Recipe(Protocol):
    """How one model is made: load, split, train, export. The framework is the recipe's own choice."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names, in the order of the output's last axis."""

    @property
    def transform(self) -> PictureTransform | None:
        """How a picture becomes an input row; None when the model takes no pictures."""

    def load(self, sources: Sources) -> Dataset:
        """The data, from the first of the sources that has it."""

    def split(self, dataset: Dataset, seed: int) -> Split:
        """The rows of one run. The same seed gives the same split."""

    def train(self, split: Split, run: Run) -> Any:
        """A model trained on `split.train`, reported to `run`. What it is, only `predict` and `export` must know."""

    def predict(self, model: Any, inputs: Any) -> NDArray[np.float32]:
        """The framework's own answer: class probabilities float32 [n, k] for n rows' inputs as `load` gives them."""

    def export(self, model: Any, path: Path) -> None:
        """Write the model as an ONNX file with a free batch axis, the inputs of the rows and one output."""


def find_recipe(reference: str) -> Recipe:
    """The recipe that `reference` names; its files are read anew at every call.

    Args:
        reference: a path to a Python file or to a folder with a `recipe.py`; or a name, looked for as
            `./NAME/recipe.py`, `./examples/NAME/recipe.py`, and then among the examples that come with Fairlead.

    Raises:
        FairleadError: NOT_FOUND when there is none, FAILED_PRECONDITION when its file fails or defines no recipe.
    """
    recipe = _recipe_of(_load(_locate(reference)))
    check_model_name(recipe.name)
    return recipe


def _locate(reference: str) -> Path:
    direct = Path(reference)
    if direct.suffix == ".py" and direct.is_file():
        return direct.resolve()
    folders = [direct, *(shelf / reference for shelf in _shelves())] if reference else []
    for folder in folders:
        if (folder / _FILE).is_file():
            return (folder / _FILE).resolve()
    known = sorted({path.parent.name for shelf in _shelves() for path in shelf.glob(f"*/{_FILE}")})
    raise FairleadError(
        Code.NOT_FOUND,
        f"there is no recipe {reference!r}",
        hint=f"recipes found: {', '.join(known) or 'none'}; or name a folder that holds a {_FILE}",
    )


def _shelves() -> Iterator[Path]:
    """The folders whose folders are recipes: the user's own first, then those that come with Fairlead."""
    package = Path(fairlead.__file__).resolve().parent
    yield Path()
    yield Path("examples")
    yield package / "examples"  # an installed wheel
    yield package.parents[1] / "examples"  # a source checkout


def _load(path: Path) -> ModuleType:
    name = f"fairlead_recipe_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    for loaded in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        del sys.modules[loaded]
    importlib.invalidate_caches()  # a file may have come since the folder was last read
    loader = SourceFileLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path), is_package=True)
    spec.submodule_search_locations = [str(path.parent)]
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _broken(path, error) from error
    return module


def _broken(path: Path, error: Exception) -> FairleadError:
    """What went wrong in the user's own files, with the line nearest to the failure."""
    where, line = path, 0
    if isinstance(error, SyntaxError):
        where, line = Path(error.filename or path), error.lineno or 0
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename).is_relative_to(path.parent):
                where, line = Path(frame.filename), frame.lineno or 0
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return FairleadError(
        Code.FAILED_PRECONDITION,
        f"the recipe fails at {where}, line {line}: {type(error).__name__}: {reason}",
        hint=INSTALL if isinstance(error, ModuleNotFoundError) else "",
    )


def _recipe_of(module: ModuleType) -> Recipe:
    recipe = getattr(module, "recipe", None)
    if recipe is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{module.__file__} defines no recipe",
            hint="end it with `recipe = YourRecipe()`",
        )
    missing = [member for member in _MEMBERS if not hasattr(recipe, member)]
    if missing or isinstance(recipe, type):
        what = "is a class, not an object" if isinstance(recipe, type) else f"lacks {', '.join(missing)}"
        raise FairleadError(Code.FAILED_PRECONDITION, f"`recipe` in {module.__file__} {what}")
    return cast("Recipe", recipe)
