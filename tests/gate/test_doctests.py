"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from fairlead import gate

MODULES = sorted(module.name for module in pkgutil.iter_modules(gate.__path__, "fairlead.gate."))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name: str) -> None:
    """Each docstring example runs and prints its stated output."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["fairlead.significance.shares", "fairlead.gate.checks"])
def test_the_statistics_show_examples(name: str) -> None:
    """The statistics and the gates are shown at work."""
    assert doctest.testmod(importlib.import_module(name)).attempted > 0
