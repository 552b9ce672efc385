"""Whether budgets are shared with other hosts."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Instruments

__all__ = ["ExchangeMetrics"]


class ExchangeMetrics:
    """The instruments of the exchange.

    Attributes:
        done: steps in which the others were told and heard.
        failed: steps in which they could not be.
    """

    def __init__(self, instruments: Instruments) -> None:
        steps = Counter(
            instruments, "fairlead_exchanges", "Times that what was let in was told to other hosts.", ["outcome"]
        )
        self.done: CounterSeries = steps.labels("done")
        self.failed: CounterSeries = steps.labels("failed")
