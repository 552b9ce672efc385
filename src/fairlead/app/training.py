"""What `fairlead train` runs."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.app.releases import now, open_registry, open_writable_store
from fairlead.config import LOCAL, Settings
from fairlead.controller.pipeline import MoreRows, Outcome, Pipeline, Train
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.errors import Code, FairleadError
from fairlead.gate.thresholds import Thresholds
from fairlead.training.recipe import Recipe, Sources, find_recipe
from fairlead.training.run import find_profile
from fairlead.training.trainer import train as train_here

__all__ = ["train"]


def train(
    settings: Settings,
    reference: str,
    *,
    profile: str | None,
    seed: int,
    say: Callable[[str], None],
    config: RetrainConfig | None = None,
    pass_id: str = "",
    more_rows: MoreRows | None = None,
) -> Outcome:
    """Make one pass of the pipeline for the recipe that `reference` names.

    Args:
        settings: where everything is.
        reference: a recipe's name, folder or file.
        profile: how long to train; None takes the environment's.
        seed: makes the run repeatable.
        say: tells the user one line.
        config: what a retraining was told; None changes nothing.
        pass_id: of the retraining that this is; goes into the lineage of what is published.
        more_rows: see `Pipeline`.
    """
    config = config or RetrainConfig()
    chosen = config.profile(find_profile(profile or settings.env))
    recipe = find_recipe(reference)
    thresholds = config.thresholds(_thresholds(recipe))
    pipeline = Pipeline(
        recipe=recipe,
        store=open_writable_store(settings),
        registry=open_registry(settings),
        home=settings.home,
        sources=Sources(data_dir=settings.data_dir, cache_dir=settings.home / "data", say=say),
        thresholds=thresholds,
        now=now,
        say=say,
        train=train_here if config.engine == LOCAL else _on_ray(config.engine, say),
        lineage={"pass_id": pass_id} if pass_id else {},
        more_rows=more_rows,
    )
    return pipeline.run(chosen, seed)


def _thresholds(recipe: Recipe) -> Thresholds:
    """What the recipe declares, or the defaults.

    Raises:
        FairleadError: FAILED_PRECONDITION when it declares something else.
    """
    declared = getattr(recipe, "thresholds", Thresholds())
    if isinstance(declared, Thresholds):
        return declared
    raise FairleadError(
        Code.FAILED_PRECONDITION,
        f"the thresholds of the recipe of {recipe.name} are {str(declared)[:80]!r}",
        hint="thresholds = Thresholds(min_accuracy=0.9), which is in fairlead.gate.thresholds",
    )


def _on_ray(engine: str, say: Callable[[str], None]) -> Train:
    from fairlead.app.ray_training import RayTraining  # noqa: PLC0415 - for who has a cluster

    return RayTraining(engine=engine, say=say)
