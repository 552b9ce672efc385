"""Reads a page of metrics again and again, and holds each against the one before."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

__all__ = ["PageReader"]

_TIMEOUT_S = 10.0
_TYPE = re.compile(r"# TYPE (\S+) (\w+)")
_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)')
_GROWING = ("_total", "_count", "_sum", "_bucket")


class PageReader:
    """What was wrong with the pages of one port.

    Args:
        port: on this machine.

    Attributes:
        read: how many pages there were.
        faults: what was wrong, by what it was, with an example each.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._families: set[str] = set()
        self._before: dict[str, float] = {}
        self.read = 0
        self.faults: Counter[str] = Counter()

    def look(self) -> None:
        """Read the page once."""
        self.read += 1
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=_TIMEOUT_S) as answer:
                text = answer.read().decode()
        except (OSError, ValueError) as error:  # a status of failure, and a body that is shorter than it should be
            self.faults[f"no page: {error!r}"] += 1
            return
        self._judge(text)

    def _judge(self, text: str) -> None:
        families, samples = set(), {}
        for line in text.splitlines():
            if found := _TYPE.fullmatch(line):
                families.add(found[1])
            elif found := _SAMPLE.fullmatch(line):
                samples[found[1]] = float(found[2])
            elif not line.startswith("# HELP "):
                self.faults[f"a line that says nothing: {line}"] += 1
        if not text.endswith("\n"):
            self.faults["a page without an end"] += 1
        for family in self._families - families:
            self.faults[f"a family is missing: {family}"] += 1
        for series, value in samples.items():
            if series.partition("{")[0].endswith(_GROWING) and value < self._before.get(series, value):
                self.faults[f"a count fell: {series}"] += 1
        self._families |= families
        self._before = samples
