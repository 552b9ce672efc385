"""The last quarter of an hour, from two readings of the server's counts on."""

from __future__ import annotations

import math

import pytest

from fairlead.console.traffic import History, parse, quantile

PAGE = """# HELP fairlead_requests_total Requests answered.
fairlead_requests_total{{code="OK",model="digits",protocol="v2",version="1"}} {ok}
fairlead_requests_total{{code="INTERNAL",model="digits",protocol="v2",version="1"}} {broken}
fairlead_requests_total{{code="INVALID_ARGUMENT",model="digits",protocol="v2",version=""}} {refused}
fairlead_request_duration_seconds_bucket{{label="",le="0.001",model="digits",protocol="v2",version="1"}} {fast}
fairlead_request_duration_seconds_bucket{{label="",le="0.01",model="digits",protocol="v2",version="1"}} {ok}
fairlead_request_duration_seconds_bucket{{label="",le="+Inf",model="digits",protocol="v2",version="1"}} {ok}
fairlead_compute_duration_seconds_sum{{model="digits",version="1"}} {busy}
fairlead_workers_ready 2.0
fairlead_queue_depth{{model="digits",version="1"}} 3.0
fairlead_queue_depth{{model="digits",version="2"}} 4.0
"""


def page(**counts: float) -> str:
    """What the metrics show."""
    return PAGE.format(**{"ok": 0, "broken": 0, "refused": 0, "fast": 0, "busy": 0} | counts)


def test_two_readings_make_a_rate() -> None:
    """By version; failures are those that no client brought about."""
    history = History()
    history.add(parse(page(ok=100, fast=50, busy=1.0), 1000.0))
    history.add(parse(page(ok=196, broken=4, refused=10, fast=98, busy=3.5), 1005.0))
    told = history.to_json()

    assert told["times"] == [1005.0]
    assert told["rate"] == {"digits": [2.0], "digits@1": [20.0]}
    assert told["errors"] == {"digits": [0.0], "digits@1": [0.04]}
    assert told["busy"]["digits@1"] == [0.5]
    assert told["latency"]["p50"] == [pytest.approx(0.001)]
    assert 0.009 < told["latency"]["p95"][0] < 0.01
    assert 0.009 < told["slow"]["digits@1"][0] < 0.01
    assert told["gauges"]["fairlead_workers_ready"] == [2.0]
    assert told["gauges"]["fairlead_queue_depth"] == [7.0]
    assert told["gauges"]["fairlead_saturation"] == [None]


def test_a_server_that_was_restarted_counts_from_nothing() -> None:
    """No rate is below zero."""
    history = History()
    history.add(parse(page(ok=100), 1000.0))
    history.add(parse(page(ok=20), 1005.0))
    assert history.to_json()["rate"]["digits@1"] == [4.0]


def test_a_quarter_of_an_hour_is_kept() -> None:
    """And what went wrong is told until it is right again."""
    history = History()
    for second in range(0, 2000, 5):
        history.add(parse(page(ok=second), float(second)))
    history.fail("away")
    told = history.to_json()
    assert (len(told["times"]), told["times"][0], told["problem"]) == (180, 1100.0, "away")
    history.add(parse(page(ok=2000), 2000.0))
    assert history.to_json()["problem"] == ""


def test_what_was_not_counted_has_no_quantile() -> None:
    """And what lies over the last bound is told as that bound."""
    assert quantile({0.1: 0.0, math.inf: 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None
    assert quantile({0.1: 1.0, math.inf: 4.0}, 0.95) == 0.1
