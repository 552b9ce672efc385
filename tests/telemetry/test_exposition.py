"""The page that Prometheus reads."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import psutil
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.exposition import Exposition, registry_of
from fairlead.telemetry.instruments import Counter, Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.telemetry.region import Memory


def test_the_page_says_what_is_running() -> None:
    """Version and Python, in Prometheus's text format."""
    text = Exposition.TEXT.write(Instruments()).decode()
    version = metadata.version("fairlead")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert f'fairlead_build_info{{python="{python}",version="{version}"}} 1.0\n' in text
    assert "# HELP fairlead_build_info What is running; always 1.\n# TYPE fairlead_build_info gauge\n" in text
    assert "\nfairlead_metrics_overflows_total 0.0\n" in text


def test_each_process_is_shown_with_what_it_uses() -> None:
    """Its memory, processor time, files and start, as the system has them."""
    registry = registry_of(Instruments())
    process = psutil.Process()

    def shown(name: str) -> float:
        value = registry.get_sample_value(name, {"process": "0"})
        assert value is not None
        return value

    assert abs(shown("process_resident_memory_bytes") - process.memory_info().rss) < 50e6
    assert shown("process_virtual_memory_bytes") > shown("process_resident_memory_bytes")
    assert abs(shown("process_cpu_seconds_total") - time.process_time()) < 1
    assert abs(shown("process_open_fds") - process.num_fds()) < 10
    assert shown("process_max_fds") >= shown("process_open_fds")
    assert abs(shown("process_start_time_seconds") - process.create_time()) < 2


def test_a_process_that_is_gone_is_not_shown() -> None:
    """Whatever its region still says."""
    memory = Memory.make(2)
    instruments = Instruments(memory.pieces, 0)
    Instruments(memory.pieces, 1)._home.owner = 2**22 + 1  # no process has a number like that

    registry = registry_of(instruments)
    assert instruments.owners == {0: os.getpid(), 1: 2**22 + 1}
    assert registry.get_sample_value("process_open_fds", {"process": "0"}) is not None
    assert registry.get_sample_value("process_open_fds", {"process": "1"}) is None


def test_loading_is_counted_by_model() -> None:
    """What is available, how long it took, what failed, and the release in force."""
    instruments = Instruments()
    metrics = LoadMetrics(instruments)
    metrics.loaded("m", 2, 0.3, warmup_s=0.01, memory_bytes=5000)
    metrics.failed("m")
    metrics.failed("m")
    metrics.released("m", 7, stable=2, candidate=3, weight=0.1)
    text = Exposition.TEXT.write(instruments).decode()

    assert 'fairlead_model_available{model="m",version="2"} 1.0\n' in text
    assert 'fairlead_model_load_duration_seconds_bucket{le="0.2",model="m"} 0.0\n' in text
    assert 'fairlead_model_load_duration_seconds_bucket{le="0.5",model="m"} 1.0\n' in text
    assert 'fairlead_model_load_duration_seconds_bucket{le="+Inf",model="m"} 1.0\n' in text
    assert 'fairlead_model_load_duration_seconds_sum{model="m"} 0.3\n' in text
    assert 'fairlead_model_load_failures_total{model="m"} 2.0\n' in text
    assert 'fairlead_model_warmup_duration_seconds_bucket{le="0.005",model="m"} 0.0\n' in text
    assert 'fairlead_model_warmup_duration_seconds_bucket{le="0.02",model="m"} 1.0\n' in text
    assert 'fairlead_model_memory_bytes{model="m",version="2"} 5000.0\n' in text
    assert 'fairlead_release_revision{model="m"} 7.0\n' in text
    assert 'fairlead_release_version{model="m",role="stable"} 2.0\n' in text
    assert 'fairlead_release_version{model="m",role="candidate"} 3.0\n' in text
    assert 'fairlead_release_weight{model="m"} 0.1\n' in text


def test_a_candidate_that_is_tried_no_more_leaves_the_page() -> None:
    """Its share of the requests is 0 then, and a plain model has no release at all."""
    instruments = Instruments()
    metrics = LoadMetrics(instruments)
    metrics.released("m", 7, stable=2, candidate=3, weight=0.1)
    metrics.released("m", 8, stable=2, candidate=None, weight=0.0)
    metrics.released("plain", 0, stable=None, candidate=None, weight=0.0)
    text = Exposition.TEXT.write(instruments).decode()

    assert 'role="candidate"' not in text
    assert 'fairlead_release_version{model="m",role="stable"} 2.0\n' in text
    assert 'fairlead_release_weight{model="m"} 0.0\n' in text
    assert 'fairlead_release_version{model="plain"' not in text


def test_an_unloaded_version_leaves_the_page() -> None:
    """The other version stays, and saying it again is harmless."""
    instruments = Instruments()
    metrics = LoadMetrics(instruments)
    metrics.loaded("m", 1, 0.1, warmup_s=0.01, memory_bytes=5000)
    metrics.loaded("m", 2, 0.1, warmup_s=0.01, memory_bytes=6000)
    metrics.unloaded("m", 1)
    metrics.unloaded("m", 1)
    metrics.unloaded("nosuch", 1)

    registry = registry_of(instruments)
    assert registry.get_sample_value("fairlead_model_available", {"model": "m", "version": "1"}) is None
    assert registry.get_sample_value("fairlead_model_available", {"model": "m", "version": "2"}) == 1.0


def test_batches_are_counted_by_version_and_label() -> None:
    """Their rows and reasons by version, and each request's times by the label that it asked for."""
    instruments = Instruments()
    metrics = BatchMetrics(instruments)
    metrics.ran("m", 1, rows=3, waited=[("", 0.002), ("canary", 0.2), ("canary", 0.3)], compute_s=0.01, reason="full")
    metrics.expired("m", 1)
    metrics.cancelled("m", 1)
    metrics.in_flight.set(5)
    registry = registry_of(instruments)
    version = {"model": "m", "version": "1"}

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"fairlead_{name}", version | labels)

    assert shown("batch_rows_sum") == 3.0
    assert shown("batches_total", reason="full") == 1.0
    assert [shown("queue_duration_seconds_count", label=label) for label in ("", "canary")] == [1.0, 2.0]
    assert shown("queue_duration_seconds_sum", label="canary") == 0.5
    assert shown("compute_duration_seconds_count", label="canary") == 2.0
    assert (shown("expired_total"), shown("cancelled_total")) == (1.0, 1.0)
    assert registry.get_sample_value("fairlead_in_flight") == 5.0


def test_exemplars_are_shown_to_those_who_take_openmetrics() -> None:
    """Each with its bucket, its trace, its value and its moment; the page is one that its own parser takes."""
    instruments = Instruments()
    metrics = BatchMetrics(instruments)
    metrics.ran("m", 1, rows=3, waited=[("", 0.002)], compute_s=0.01, reason="full")
    metrics.traced("m", 1, label="", trace_id="0af7651916cd43dd8448eb211c80319c", waited_s=0.002, compute_s=0.01)
    page = Exposition.asked_for(b"application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    read: Iterator[Any] = text_string_to_metric_families(page.write(instruments).decode())  # type: ignore[no-untyped-call]
    families = {family.name: family for family in read}

    (found,) = [one for one in families["fairlead_queue_duration_seconds"].samples if one.exemplar]
    assert found.labels["le"] == "0.0025"
    assert found.exemplar is not None
    assert found.exemplar.labels == {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
    assert found.exemplar.value == 0.002
    assert abs(float(found.exemplar.timestamp or 0) - time.time()) < 60
    assert b"openmetrics" in page.content_type
    assert Exposition.asked_for(b"text/plain") is Exposition.asked_for(b"") is Exposition.TEXT
    assert b"trace_id" not in Exposition.TEXT.write(instruments)


def test_a_page_of_its_own_is_not_this_one() -> None:
    """What is shown elsewhere is not shown twice."""
    instruments = Instruments()
    Counter(instruments, "here", "Here.").labels().inc()
    Counter(instruments, "elsewhere", "Elsewhere.", is_listed=False).labels().inc()

    assert b"\nhere_total 1.0\n" in Exposition.TEXT.write(instruments)
    assert b"elsewhere" not in Exposition.TEXT.write(instruments)
