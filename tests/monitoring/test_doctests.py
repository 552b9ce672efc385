"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from fairlead import monitoring

MODULES = sorted(module.name for module in pkgutil.walk_packages(monitoring.__path__, "fairlead.monitoring."))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name: str) -> None:
    """Each docstring example runs and prints its stated output."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["calibration", "label", "quality", "share", "shipping", "storable"])
def test_what_is_pure_shows_examples(name: str) -> None:
    """What is computed from values alone is shown at work."""
    assert doctest.testmod(importlib.import_module(f"fairlead.monitoring.{name}")).attempted > 0
