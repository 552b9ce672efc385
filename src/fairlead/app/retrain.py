"""What `fairlead retrain` does: sets a pass off, and sees to it that somebody makes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fairlead.app.control import open_database
from fairlead.app.controlling import open_controller, recipes_of
from fairlead.app.releases import now
from fairlead.app.user import user_name
from fairlead.config import Settings
from fairlead.controller.passes import Pass, Passes, Status, Trigger
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.errors import Code, FairleadError

__all__ = ["retrain"]

_POLL_S = 0.5


def retrain(
    settings: Settings,
    recipe: str,
    *,
    epochs: int | None,
    config: Path | None,
    engine: str | None,
    why: str,
    say: Callable[[str], None],
) -> Pass:
    """Train the recipe's model again, by the controller that leads or, where none does, here.

    Args:
        settings: where everything is.
        recipe: as `fairlead train` takes it.
        epochs: passes over the data; None for the profile's or the file's.
        config: a `config.json`; None for none.
        engine: where to train; None for here, or the file's.
        why: for the history.
        say: tells the user one line.

    Returns:
        The pass once its training is over.

    Raises:
        FairleadError: INVALID_ARGUMENT for the file, ALREADY_EXISTS while another pass of the model runs, UNAVAILABLE.
    """
    asked = (RetrainConfig.read(config) if config else RetrainConfig()).asked(epochs, engine)
    (model,) = recipes_of([recipe])
    passes = Passes(open_database(settings), now=now)
    if passes.unfinished(model):
        raise FairleadError(
            Code.ALREADY_EXISTS, f"a retraining of {model} runs already", hint=f"fairlead history {model}"
        )
    key = f"person:{user_name()}:{now():%Y-%m-%dT%H:%M:%S.%fZ}"
    begun = passes.begin(model, Trigger.PERSON, key[:128], asked.to_json())
    if begun is None:
        raise FairleadError(Code.ALREADY_EXISTS, f"a retraining of {model} was begun this very moment")
    controller = open_controller(settings, [recipe])
    say(f"retraining {model}" + (f": {why}" if why else ""))
    leader = ""
    try:
        while True:
            holding = controller.look()
            if not holding.is_mine and holding.holder != leader:
                leader = holding.holder
                say(f"the controller {leader} does it")
            found = passes.find(begun.id)
            if found.status is not Status.RUNNING:
                return found
            time.sleep(_POLL_S)
    finally:
        controller.close()
