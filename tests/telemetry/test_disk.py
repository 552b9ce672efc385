"""How full the disks are."""

from __future__ import annotations

import shutil
from pathlib import Path

from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.instruments import Instruments


def test_each_path_shows_its_file_system(tmp_path: Path) -> None:
    """One that is not there shows nothing."""
    registry = registry_of(Instruments(), {"home": tmp_path, "store": tmp_path / "none"})
    usage = shutil.disk_usage(tmp_path)

    free = registry.get_sample_value("fairlead_disk_free_bytes", {"path_of": "home"})
    assert free is not None
    assert abs(free - usage.free) < 0.1 * usage.total
    assert registry.get_sample_value("fairlead_disk_size_bytes", {"path_of": "home"}) == usage.total
    assert registry.get_sample_value("fairlead_disk_free_bytes", {"path_of": "store"}) is None
