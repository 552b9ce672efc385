"""What `fairlead train` runs."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.app.releases import now, open_registry, open_writable_store
from fairlead.config import Settings
from fairlead.controller.pipeline import Outcome, Pipeline
from fairlead.gate.thresholds import Thresholds
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.run import find_profile

__all__ = ["train"]


def train(settings: Settings, reference: str, *, profile: str | None, seed: int, say: Callable[[str], None]) -> Outcome:
    """Make one pass of the pipeline for the recipe that `reference` names.

    Args:
        settings: where everything is.
        reference: a recipe's name, folder or file.
        profile: how long to train; None takes the environment's.
        seed: makes the run repeatable.
        say: tells the user one line.
    """
    chosen = find_profile(profile or settings.env)
    recipe = find_recipe(reference)
    pipeline = Pipeline(
        recipe=recipe,
        store=open_writable_store(settings),
        registry=open_registry(settings),
        home=settings.home,
        sources=Sources(data_dir=settings.data_dir, cache_dir=settings.home / "data", say=say),
        thresholds=Thresholds(),
        now=now,
        say=say,
    )
    return pipeline.run(chosen, seed)
