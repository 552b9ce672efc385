"""The examples in the console's docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["axis", "charts", "rendering", "traffic"])
def test_examples_are_true(module: str) -> None:
    """Each prints what it says."""
    assert doctest.testmod(importlib.import_module(f"fairlead.console.{module}")).failed == 0
