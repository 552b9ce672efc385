"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from fairlead import significance

MODULES = sorted(module.name for module in pkgutil.iter_modules(significance.__path__, "fairlead.significance."))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name: str) -> None:
    """Each docstring example runs and prints its stated output, and there is at least one."""
    results = doctest.testmod(importlib.import_module(name))

    assert results.failed == 0
    assert results.attempted > 0
