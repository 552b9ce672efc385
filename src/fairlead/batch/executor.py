"""Where parts are scored: the port, and the threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from fairlead.batch.output import Counts, Output
from fairlead.batch.scorer import Scorer
from fairlead.batch.source import Part
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable

__all__ = ["Executor", "Threads", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an executor does.

    Attributes:
        parts: reads the input's parts in their order; those that are there already come without rows.
        manifest: of the version that scores.
        suffix: of the files to make.
    """

    parts: Callable[[], Iterator[Part]]
    manifest: Manifest
    suffix: str


class Executor(Protocol):
    """Scores every part once and keeps it."""

    def run(self, work: Work, output: Output) -> Generator[Counts, None, None]:
        """What each part came to, once it is kept, in whatever order. Closed before its end, it works no further.

        Raises:
            FairleadError: the reason why a part cannot be scored, read or kept.
        """


class Threads:
    """Scores in threads of this process while one reads on.

    Args:
        servable: the model.
        count: how many parts are worked on at once.
    """

    def __init__(self, servable: Servable, count: int) -> None:
        self._servable = servable
        self._count = count

    def run(self, work: Work, output: Output) -> Generator[Counts, None, None]:
        scorer = Scorer(self._servable, work.manifest, work.suffix)
        working: deque[Future[Counts]] = deque()
        with ThreadPoolExecutor(self._count, thread_name_prefix="batch") as pool:
            try:
                for part in work.parts():
                    working.append(pool.submit(lambda part: output.keep(scorer.score(part)), part))
                    if len(working) > self._count:  # each holds a part's rows: that is the memory there is
                        yield working.popleft().result()
                while working:
                    yield working.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)
