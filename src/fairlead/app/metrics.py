"""Everything that a service counts. All its processes have the same instruments, so that each can show the totals."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.serving.statistics import Statistics
from fairlead.telemetry.app_log import AppLogMetrics
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.connections import ConnectionCounts, connections_gauge
from fairlead.telemetry.control import ControlMetrics
from fairlead.telemetry.exchange import ExchangeMetrics
from fairlead.telemetry.graphs import GraphMetrics
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.telemetry.log import LogMetrics
from fairlead.telemetry.quality import QualityMetrics
from fairlead.telemetry.store import StoreMetrics
from fairlead.telemetry.tls import TlsMetrics
from fairlead.telemetry.traces import TraceMetrics
from fairlead.telemetry.workers import WorkerMetrics
from fairlead.transport.metrics import TransportMetrics

__all__ = ["ServiceMetrics"]


class ServiceMetrics:
    """The instruments of every room.

    Args:
        pieces: the memory of all regions.
        home: the number of the region that this process counts in.

    Attributes:
        connections: how many connections this process and its siblings have, by protocol.
    """

    def __init__(self, pieces: Sequence[memoryview], home: int) -> None:
        self.instruments = Instruments(pieces, home)
        self.workers = WorkerMetrics(self.instruments)
        self.load = LoadMetrics(self.instruments)
        self.graphs = GraphMetrics(self.instruments)
        self.batches = BatchMetrics(self.instruments)
        self.statistics = Statistics(self.instruments)
        self.log = LogMetrics(self.instruments)
        self.quality = QualityMetrics(self.instruments)
        self.control = ControlMetrics(self.instruments)
        self.app_log = AppLogMetrics(self.instruments)
        self.tls = TlsMetrics(self.instruments)
        self.store = StoreMetrics(self.instruments)
        self.traces = TraceMetrics(self.instruments)
        self.exchange = ExchangeMetrics(self.instruments)
        self.transport = TransportMetrics(self.instruments)
        open_ = connections_gauge(self.instruments)
        self.connections = {
            protocol: ConnectionCounts(pieces, home, which, open_.labels(protocol))
            for which, protocol in enumerate(("rest", "grpc"))
        }
