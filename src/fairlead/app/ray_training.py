"""A model trained on a node of a Ray cluster; its data is loaded and its candidate judged here."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead.app.cluster import connected, run_task
from fairlead.errors import Code, FairleadError
from fairlead.training.dataset import Dataset, Split
from fairlead.training.lineage import code_revision, recipe_folder
from fairlead.training.recipe import Recipe, find_recipe
from fairlead.training.run import Profile, Run
from fairlead.training.trainer import Candidate, train

__all__ = ["RayTraining"]

_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RayTraining:
    """Takes the place of `trainer.train`. A node that dies is replaced by another, which begins anew.

    Attributes:
        engine: which cluster, see `connected`.
        say: tells the user one line.
    """

    engine: str
    say: Callable[[str], None]

    def __call__(self, recipe: Recipe, dataset: Dataset, split: Split, run: Run, work: Path) -> Candidate:
        """As `train`.

        Raises:
            FairleadError: as `train`; UNAVAILABLE without a cluster.
        """
        revision = code_revision(recipe_folder(recipe))  # while the files are those that were loaded
        profile = Profile(name=run.profile, epochs=run.epochs, batch_size=run.batch_size)
        told = _Told(files=_modules(recipe), entry=_file(recipe).name, profile=profile, seed=run.seed)
        with connected(self.engine) as ray:
            cpus = _cpus(ray)
            self.say(f"training on the Ray cluster, with {cpus:g} of its CPUs")
            trained: _Trained = run_task(
                ray, _train, told, dataset, split, on_word=lambda word: _tell(run, word), cpus=cpus, retries=_RETRIES
            )
        run.close()
        _write(run.log_dir, trained.logs)
        _write(work, trained.files)
        candidate = trained.candidate
        lineage = {**candidate.lineage, "code_revision": revision}
        return replace(candidate, directory=work, transform=recipe.transform, lineage=lineage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a node is told besides the data: the recipe's modules by path, the one that defines it, and how to train."""

    files: Mapping[str, bytes]
    entry: str
    profile: Profile
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """What comes back: the candidate, and the files of its directory and of the logs by path."""

    candidate: Candidate
    files: Mapping[str, bytes]
    logs: Mapping[str, bytes]


def _train(told: _Told, dataset: Dataset, split: Split, tell: Callable[[Any], None]) -> _Trained:
    with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
        folder = Path(name)
        _write(folder / "recipe", told.files)
        recipe = find_recipe(str(folder / "recipe" / told.entry))
        log_dir, work = folder / "logs", folder / "work"
        run = Run(seed=told.seed, profile=told.profile, log_dir=log_dir, sink=_Sink(tell))
        candidate = replace(train(recipe, dataset, split, run, work), transform=None)
        return _Trained(candidate=candidate, files=_read(work), logs=_read(log_dir))


class _Sink:
    """Says on a node what a run reports. A `RunSink`."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._tell = tell

    def params(self, values: Mapping[str, Any]) -> None:
        self._tell(("params", dict(values)))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._tell(("metrics", step, dict(values)))

    def picture(self, name: str, png: bytes) -> None:
        self._tell(("picture", name, png))

    def text(self, name: str, text: str) -> None:
        self._tell(("text", name, text))


def _tell(run: Run, word: Any) -> None:
    """Report here what was reported there."""
    match word:
        case ("params", values):
            run.params(**values)
        case ("metrics", step, values):
            run.epoch(step, values)
        case ("picture", name, png) if run.sink:
            run.sink.picture(name, png)
        case ("text", name, text) if run.sink:
            run.sink.text(name, text)


def _file(recipe: Recipe) -> Path:
    found = getattr(sys.modules.get(type(recipe).__module__), "__file__", None)
    if found is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the recipe of {recipe.name!r} is defined in no file, and a cluster can be sent none",
            hint="put its class into a recipe.py",
        )
    return Path(found)


def _modules(recipe: Recipe) -> dict[str, bytes]:
    """The modules beside the one that defines the recipe, and those of packages below."""
    root = _file(recipe).parent
    folders = [root]
    for folder in folders:
        folders += [path.parent for path in sorted(folder.glob("*/__init__.py"))]
    return {str(path.relative_to(root)): path.read_bytes() for folder in folders for path in folder.glob("*.py")}


def _cpus(ray: Any) -> float:
    """The CPUs of the smallest node that has any: whichever dies, another can train."""
    found = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return min((float(count) for count in found if count), default=1.0)


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
