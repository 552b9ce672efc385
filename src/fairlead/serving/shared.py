"""Models in memory, each of them once, whoever holds them: a version that serves and is a graph's member too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from fairlead.servable.servable import LoadedModel

__all__ = ["SharedModels"]


@dataclass(slots=True)
class _Holding:
    """A model, how many hold it or wait for it, and the lock under which it is loaded."""

    model: LoadedModel | None = None
    holders: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


class SharedModels:
    """What is loaded, by what it was loaded from. Safe in threads; two that want the same model wait for one load."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holdings: dict[Hashable, _Holding] = {}

    def take(self, key: Hashable, load: Callable[[], LoadedModel]) -> tuple[LoadedModel, Callable[[], None]]:
        """The model, and what is to be called once when it is not needed any more.

        Args:
            key: what it is loaded from.
            load: loads it where nobody holds it.
        """
        with self._lock:
            holding = self._holdings.setdefault(key, _Holding())
            holding.holders += 1

        def let_go() -> None:
            with self._lock:
                holding.holders -= 1
                is_last = holding.holders == 0
                if is_last:
                    del self._holdings[key]
            if is_last and holding.model is not None:
                holding.model.close()

        try:
            with holding.loading:
                if holding.model is None:
                    holding.model = load()
        except BaseException:
            let_go()
            raise
        return holding.model, let_go
