"""Limits of models as settings have them."""

from __future__ import annotations

import pytest

from fairlead.errors import RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter, ModelMeter
from fairlead.metering.per_model import per_model
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate


def test_each_model_has_one_limit() -> None:
    """That of all others stands without a name."""
    rates = per_model(["a=5/s", "10/s", "b=c=1/h"], Rate)
    quotas = per_model(["a=5/day", "10/month"], Quota)

    assert {model: str(rate) for model, rate in rates.items()} == {"a": "5/s:5", "": "10/s:10", "b=c": "1/h:1"}
    assert {model: str(quota) for model, quota in quotas.items()} == {"a": "5/day", "": "10/month"}
    for wrong in (["a=5/s", "a=6/s"], ["1/s", "2/s"], ["=1/s"], ["a=0/s"], ["a="]):
        with pytest.raises(ValueError, match="must be"):
            per_model(wrong, Rate)
    with pytest.raises(ValueError, match="'a=2/day': must be MODEL=QUOTA, each model once, or QUOTA for all others"):
        per_model(["a=1/day", "a=2/day"], Quota)


def test_a_model_has_rate_and_quota_each_by_its_name_or_as_all_others() -> None:
    """One of the two may be the model's own and the other that of all others; each other model has one to itself."""
    meter = Meter(Ledger.make(), clock=lambda: 10**15, now=lambda: 3600.0)
    models = ModelMeter(meter, {"a": Rate.parse("1/h:2")}, {"": Quota.parse("3/day"), "b": Quota.parse("4/day")})

    def asked(model: str) -> str:
        try:
            models.charge(model)
        except RateLimitError as error:
            return error.reason
        return ""

    assert [asked("a") for _ in range(3)] == ["", "", "model"]
    assert [asked("b") for _ in range(5)] == ["", "", "", "", "model_quota"]
    for other in ("c", "d"):
        assert [asked(other) for _ in range(4)] == ["", "", "", "model_quota"]
