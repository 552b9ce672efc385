"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from fairlead import controller

MODULES = sorted(module.name for module in pkgutil.iter_modules(controller.__path__, "fairlead.controller."))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name: str) -> None:
    """Each docstring example runs and prints its stated output."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["schedule", "retrain_config", "notification", "journal", "version_retention"])
def test_the_decisions_show_examples(name: str) -> None:
    """What is decided is shown at work."""
    assert doctest.testmod(importlib.import_module(f"fairlead.controller.{name}")).attempted > 0
