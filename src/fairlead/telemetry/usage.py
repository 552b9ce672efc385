"""What each process uses, read from /proc when it is asked for, so that no figure outlives its process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["resident_bytes", "usage_families"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LABELS = ["process"]

_GAUGES = {
    "virtual_bytes": ("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    "resident_bytes": ("process_resident_memory_bytes", "Resident memory size in bytes."),
    "started_at": ("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    "open_fds": ("process_open_fds", "Number of open file descriptors."),
    "max_fds": ("process_max_fds", "Maximum number of open file descriptors."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usage:
    """What one process uses."""

    cpu_s: float
    virtual_bytes: float
    resident_bytes: float
    started_at: float
    open_fds: float
    max_fds: float


def usage_families(pids: Mapping[int, int]) -> Iterator[Metric]:
    """CPU, memory and files of each process, under its number; 0 is the parent. Where there is no /proc, nothing."""
    usages = {number: usage for number, pid in pids.items() if (usage := _usage(Path("/proc"), pid))}
    cpu = CounterMetricFamily("process_cpu_seconds", "Total user and system CPU time spent in seconds.", labels=_LABELS)
    for number, usage in usages.items():
        cpu.add_metric([str(number)], usage.cpu_s)
    yield cpu
    for attribute, (name, description) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, description, labels=_LABELS)
        for number, usage in usages.items():
            gauge.add_metric([str(number)], getattr(usage, attribute))
        yield gauge


def resident_bytes() -> int:
    """The memory of this process that is in RAM; 0 where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _usage(proc: Path, pid: int) -> _Usage | None:
    """What proc(5) says of the process; None when it has just ended."""
    try:
        # The second field is the program's name in brackets, which may hold anything; the third is the first here.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        booted_at = next(line for line in (proc / "stat").read_text().splitlines() if line.startswith("btime"))
        limits = (proc / str(pid) / "limits").read_text()
        open_fds = len(os.listdir(proc / str(pid) / "fd"))  # noqa: PTH208 - a Path for each would be made for nothing
    except (OSError, StopIteration):
        return None
    max_fds = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3]
    return _Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        virtual_bytes=int(fields[20]),
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
        started_at=int(booted_at.split()[1]) + int(fields[19]) / _TICKS,
        open_fds=open_fds,
        max_fds=float("inf") if max_fds == "unlimited" else int(max_fds),
    )
