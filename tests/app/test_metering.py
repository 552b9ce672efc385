"""Where quotas are kept, and what happens where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.app.metering import open_meter
from fairlead.config import Settings
from fairlead.errors import RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.quota import Quota


def test_quotas_that_cannot_be_kept_are_counted_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By all workers together; the log says that they will be forgotten."""
    settings = Settings.read({}, home=str(tmp_path))
    key, _ = KeyFile(settings.keys_path).create(
        "shop", frozenset({Scope.PREDICT}), lives_s=None, quota=Quota.parse("5/month")
    )
    settings.quotas_path.mkdir()
    ledger = Ledger.make()
    workers = [open_meter(settings, ledger) for _ in range(2)]
    assert "is forgotten when the server ends" in caplog.text

    for each in range(5):
        workers[each % 2].charge(key.charged())
    for worker in workers:
        with pytest.raises(RateLimitError, match="5/month"):
            worker.charge(key.charged())


def test_a_home_without_keys_gets_no_file(tmp_path: Path) -> None:
    """Nothing is written where nobody has a quota."""
    open_meter(Settings.read({}, home=str(tmp_path), token_rate="1/s", model_rates="1/s"), Ledger.make())

    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("limit", [{"token_quota": "5/day"}, {"model_quotas": "digits=5/day"}])
def test_quotas_of_subjects_and_models_are_kept_without_any_key(tmp_path: Path, limit: dict[str, str]) -> None:
    """In a home that is made for them, where there was none."""
    open_meter(Settings.read({}, home=str(tmp_path / "new"), **limit), Ledger.make())

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["quotas"]
