"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from fairlead import rollout

MODULES = sorted(module.name for module in pkgutil.iter_modules(rollout.__path__, "fairlead.rollout."))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name: str) -> None:
    """Each docstring example runs and prints its stated output."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", [f"fairlead.rollout.{name}" for name in ("next_step", "plan", "trips", "class_watch")])
def test_the_rules_show_examples(name: str) -> None:
    """What decides is shown at work."""
    assert doctest.testmod(importlib.import_module(name)).attempted > 0
