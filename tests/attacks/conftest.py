"""Real servers for those who attack them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import StartServer, starting


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts `fairlead serve` on a free port over a store; whatever still runs at the end is ended."""
    with starting(tmp_path) as start:
        yield start
