"""The catalogue of metrics, made from the instruments themselves: the body of `docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType

from prometheus_client.core import Metric

from fairlead.errors import Code
from fairlead.monitoring.prediction import Arm
from fairlead.servable.features.extractor import MAX_COLUMNS
from fairlead.servable.graph.member import Outcome
from fairlead.servable.graph.spec import MAX_MEMBERS
from fairlead.serving.lane import Reason
from fairlead.telemetry.app_log import AppLogMetrics
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.connections import connections_gauge
from fairlead.telemetry.control import ControlMetrics
from fairlead.telemetry.exchange import ExchangeMetrics
from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.graphs import GraphMetrics
from fairlead.telemetry.instruments import Counter, Exemplars, Family, Gauge, Histogram, Instruments, Series
from fairlead.telemetry.load import LoadMetrics
from fairlead.telemetry.log import LogMetrics
from fairlead.telemetry.quality import QualityMetrics
from fairlead.telemetry.store import StoreMetrics
from fairlead.telemetry.tls import TlsMetrics
from fairlead.telemetry.traces import TraceMetrics
from fairlead.telemetry.workers import WorkerMetrics
from fairlead.transport.metrics import TransportMetrics
from fairlead.transport.tfserving.metrics import MAX_STRANGERS

__all__ = ["SECTIONS", "Label", "Section", "label_of", "markdown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Metrics that belong together.

    Attributes:
        title: a heading.
        process: who counts them.
        make: makes their instruments.
    """

    title: str
    process: str
    make: Callable[[Instruments], object]

    def families(self) -> tuple[Family[Series], ...]:
        """Its instruments, over memory of their own; exemplars belong to their histograms."""
        instruments = Instruments()
        self.make(instruments)
        return tuple(family for family in instruments.families if not isinstance(family, Exemplars))


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What tells a family's series apart.

    Attributes:
        values: what it says, and where that comes from.
        most: how many values it can have: a number, or what there are as many of.
    """

    values: str
    most: int | str


SECTIONS = (
    Section(title="Requests", process="workers", make=TransportMetrics),
    Section(title="Batches and what waits", process="workers", make=BatchMetrics),
    Section(title="Models and releases", process="workers", make=LoadMetrics),
    Section(title="Graphs of versions", process="workers", make=GraphMetrics),
    Section(title="Connections", process="workers", make=connections_gauge),
    Section(title="Workers", process="parent", make=WorkerMetrics),
    Section(title="Prediction log", process="workers and recorder", make=LogMetrics),
    Section(title="Quality in production", process="recorder", make=QualityMetrics),
    Section(title="Control plane", process="recorder", make=ControlMetrics),
    Section(title="Store", process="the parent", make=StoreMetrics),
    Section(title="TLS", process="the parent; failures every process", make=TlsMetrics),
    Section(title="Rates of several hosts", process="the parent", make=ExchangeMetrics),
    Section(title="Traces", process="workers", make=TraceMetrics),
    Section(title="Application log", process="every process", make=AppLogMetrics),
)

_VERSIONS = "versions"
_LABELS: Mapping[str, Label] = MappingProxyType(
    {
        "model": Label(values="a model that is served; empty where it is none, or nobody knows it", most="models"),
        "version": Label(values="one that serves, is tried, or has a label; empty for none", most=_VERSIONS),
        "provider": Label(values="the execution provider of ONNX Runtime that is asked first", most=1),
        "member": Label(values="a version that the graph names", most=MAX_MEMBERS + 2),
        "label": Label(values="a version label of the release, where the caller asked by it", most="labels"),
        "protocol": Label(values="simple, tfserving, v2, tfserving-grpc, v2-grpc", most=5),
        "code": Label(values="OK, or a canonical error code", most=1 + len(Code)),
        "arm": Label(values="stable, candidate, shadow; empty where a version was asked for", most=len(Arm)),
        "feature": Label(values="a drift feature of the version, `predicted` or `confidence`", most=MAX_COLUMNS + 2),
        "role": Label(values="stable, candidate", most=2),
        "trigger": Label(values="schedule, drift, quality, person", most=4),
        "verdict": Label(values="passed, refused", most=2),
        "task": Label(values="training, by model; backup, retention, controller_look", most=4),
        "how": Label(values="a signal, an exit status, or the code of the error", most=336),
        "process": Label(values="0 for the parent, else a region's number", most="processes"),
        "path_of": Label(values="home, store", most=2),
        "python": Label(values="major and minor version", most=1),
        "model_name": Label(
            values="as `model`, and the first that clients invent if a model could be called so",
            most=f"(models + {MAX_STRANGERS} x workers)",
        ),
        "status": Label(values="as `code`", most=1 + len(Code)),
        "API": Label(values="predict, classify, regress, Predict, Classify, Regress; empty for a GET", most=7),
        "entrypoint": Label(values="REST, GRPC", most=2),
    }
)
_OTHER_LABELS: Mapping[tuple[str, str], Label] = MappingProxyType(
    {
        ("fairlead_batches", "reason"): Label(values=", ".join(Reason), most=len(Reason)),
        ("fairlead_refused", "reason"): Label(values="in_flight, queue, memory: the bound that was met", most=3),
        ("fairlead_limited", "reason"): Label(
            values="key, token, model: whose rate was met; key_quota, token_quota, model_quota", most=6
        ),
        ("fairlead_graph_member_rows", "outcome"): Label(values=", ".join(Outcome), most=len(Outcome)),
        ("fairlead_graph_rows", "outcome"): Label(values="combined, fallback, none", most=3),
        ("fairlead_exchanges", "outcome"): Label(values="done, failed", most=2),
        ("fairlead_trace_dropped", "reason"): Label(values="limit, queue, collector", most=3),
        ("fairlead_connections", "protocol"): Label(values="rest, grpc", most=2),
        ("fairlead_rollouts", "outcome"): Label(values="promoted, rolled_back, aborted", most=3),
        ("fairlead_controller_runs", "outcome"): Label(values="published, refused, failed", most=3),
        ("fairlead_build_info", "version"): Label(values="of Fairlead", most=1),
    }
)
_UNITS = ("seconds", "bytes", "rows")
_HEAD = ("| name | type | labels | unit | series, at most | meaning |", "| --- | --- | --- | --- | --- | --- |")


def label_of(family: str, label: str) -> Label:
    """What a label of a family says; the family's name is without `_total`."""
    return _OTHER_LABELS.get((family, label)) or _LABELS[label]


def markdown() -> str:
    """The catalogue as Markdown tables."""
    sections = [(section.title, section.process, section.families()) for section in SECTIONS]
    lines: list[str] = []
    for title, process, families in sections:
        lines += _table(title, process, map(_row, (family for family in families if family.is_listed)))
    lines += _table("The process and the machine", "whoever shows the page, when it is asked for", _computed_rows())
    foreign = [family for _, _, families in sections for family in families if not family.is_listed]
    lines += _table("TensorFlow Serving's page", "workers", map(_row, foreign))
    return "\n".join([*lines, *_labels_table()]) + "\n"


def _table(title: str, process: str, rows: Iterable[str]) -> Iterator[str]:
    yield from (f"## {title}", "", f"Counted by: {process}.", "", *_HEAD, *rows, "")


def _row(family: Family[Series]) -> str:
    kind = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}[type(family)]
    lines = len(family.bounds) + 3 if isinstance(family, Histogram) else 1  # its buckets, their sum, their count
    name = family.name + "_total" if kind == "counter" and family.is_listed else family.name
    return _line(name, kind, _most(family.name, family.label_names, lines), family.label_names, family.description)


def _computed_rows() -> Iterator[str]:
    """Of what is looked at when the page is asked for."""
    counted = {family.name for section in SECTIONS for family in section.families()}
    for metric in registry_of(Instruments(), {"home": Path("/")}).collect():
        if metric.name not in counted:
            labels = _labels_of(metric)
            name = metric.name + "_total" if metric.type == "counter" else metric.name
            yield _line(name, metric.type, _most(metric.name, labels, 1), labels, metric.documentation)


def _labels_of(metric: Metric) -> tuple[str, ...]:
    return tuple(metric.samples[0].labels)


def _line(name: str, kind: str, most: str, labels: Iterable[str], meaning: str) -> str:
    unit = next((unit for unit in _UNITS if unit in name.split("_")), "")
    return f"| `{name}` | {kind} | {', '.join(labels)} | {unit} | {most} | {meaning} |"


def _most(family: str, labels: Iterable[str], lines: int) -> str:
    """How many lines of the page the family can be: versions belong to models, so those are not multiplied."""
    counts = [label_of(family, label).most for label in labels]
    named = [count for count in counts if isinstance(count, str)]
    if _VERSIONS in named:
        named = [count for count in named if count != "models"]
    number = prod(count for count in counts if isinstance(count, int)) * lines
    return " x ".join([*([str(number)] if number > 1 or not named else []), *named])


def _labels_table() -> Iterator[str]:
    yield from ("## Labels", "", "| label | values | at most |", "| --- | --- | --- |")
    for name, label in _LABELS.items():
        yield f"| {name} | {label.values} | {label.most} |"
    for (family, name), label in _OTHER_LABELS.items():
        yield f"| {name} of `{family}` | {label.values} | {label.most} |"
