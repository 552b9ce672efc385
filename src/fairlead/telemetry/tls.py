"""The certificate that the ports show, and who did not come to terms with it."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Gauge, GaugeSeries, Instruments, Merge

__all__ = ["TlsMetrics"]


class TlsMetrics:
    """The instruments of TLS.

    Attributes:
        ends: the second since 1970 at which the certificate ends; 0 where there is none.
        is_stale: 1 while the files on the disk are no good, and what was read before is shown.
        failed: handshakes that failed.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.ends: GaugeSeries = Gauge(
            instruments,
            "fairlead_tls_certificate_end_seconds",
            "Second since 1970 at which the certificate that clients are shown ends; 0 where there is none.",
            how=Merge.MAX,
        ).labels()
        self.is_stale: GaugeSeries = Gauge(
            instruments,
            "fairlead_tls_files_refused",
            "1 while the certificate's files as they are now are no good, and an older certificate is shown.",
            how=Merge.MAX,
        ).labels()
        self.failed: CounterSeries = Counter(
            instruments,
            "fairlead_tls_handshakes_failed",
            "Connections that ended before client and server had come to terms.",
        ).labels()
