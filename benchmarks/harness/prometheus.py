"""A real Prometheus that scrapes a Fairlead on this machine, and what it answers when it is asked."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.harness.process import free_port, running

__all__ = ["Page", "Prometheus"]

_TIMEOUT_S = 10.0
_SCRAPED_S = 30.0
_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is scraped.

    Attributes:
        port: on this machine.
        path: of the page.
    """

    port: int
    path: str = "/metrics"


class Prometheus(contextlib.AbstractContextManager["Prometheus"]):
    """Scrapes while the block runs.

    Args:
        folder: where it keeps its configuration and data.
        pages: what it scrapes, by the name of the job.
        interval_s: from one scrape to the next.
    """

    def __init__(self, folder: Path, pages: Mapping[str, Page], interval_s: int = 1) -> None:
        self._folder = folder
        self._pages = pages
        self._interval_s = interval_s
        self._port = free_port()
        self._life = contextlib.ExitStack()

    def __enter__(self) -> Self:
        configuration = self._folder / "prometheus.yml"
        configuration.write_text(json.dumps(self._configuration()))  # JSON is YAML too
        command = [
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self._folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._life.enter_context(running(command, self._is_ready, core=None))
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The value of every series that the expression gives now, by its labels."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=_TIMEOUT_S
        ) as answer:
            found = json.load(answer)["data"]["result"]
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}

    def value(self, expression: str) -> float:
        """The value of an expression that gives one series; 0 when it gives none.

        Raises:
            ValueError: when it gives several.
        """
        found = self.query(expression)
        if len(found) > 1:
            raise ValueError(f"{expression} gives {len(found)} series")
        return next(iter(found.values()), 0.0)

    def wait_for_scrapes(self) -> None:
        """Return when it has scraped everything once more, beginning now.

        Raises:
            TimeoutError: after half a minute.
        """
        asked, deadline = time.time(), time.monotonic() + _SCRAPED_S
        while self.value(f"count(timestamp(up) > {asked:.3f})") < len(self._pages):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Prometheus has not scraped all of {', '.join(self._pages)}")
            time.sleep(_LOOK_S)

    def _configuration(self) -> Mapping[str, object]:
        interval = f"{self._interval_s}s"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [
                {
                    "job_name": job,
                    "metrics_path": page.path,
                    "static_configs": [{"targets": [f"127.0.0.1:{page.port}"]}],
                }
                for job, page in self._pages.items()
            ],
        }

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=_TIMEOUT_S):
                return True
        except (urllib.error.URLError, OSError):
            return False
