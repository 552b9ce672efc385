"""Plain models by configuration: the one in force is a small file that every process of the server follows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.serving.model_config import ModelConfig, check_configs, check_roots
from fairlead.serving.source import Aspired, aspire_plain
from fairlead.serving.version_policy import LATEST, VersionPolicy
from fairlead.store.files import exclusive, storage_errors, write_file
from fairlead.store.plain import QuietVersions

__all__ = ["ConfigInForce", "ConfiguredSource"]

Configs = tuple[ModelConfig, ...]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is in force, the digest of what was given then, and whether it is something else that a request brought."""

    given: str
    configs: Configs
    is_replaced: bool = False


class ConfigInForce:
    """The configuration that was given, or the one that replaced it at run time. Safe in all processes at once.

    A replacement outlives the processes: it holds until something else is given, because the user's file was changed.
    What makes no sense is reported once and changes nothing.

    Args:
        path: the file that has what is in force; a change is there whole or not at all.
        given: the text that the user gives; raises OSError while it cannot be read.
        parse: its meaning; raises FairleadError when it has none.
    """

    def __init__(self, path: Path, given: Callable[[], bytes], parse: Callable[[bytes], Configs]) -> None:
        self._path = path
        self._given = given
        self._parse = parse
        self._last: _State | None = None
        self._refused = ""

    def read(self) -> Configs:
        """The configuration in force.

        Raises:
            FairleadError: when there is none, since nothing that makes sense was ever given.
            OSError: when there is none, since what is given cannot be read.
        """
        before = self._state() or self._last
        try:
            now = self._take(self._given(), before)
        except (FairleadError, OSError) as error:
            if before is None:
                raise
            self._refuse(str(error))
            now = before
        else:
            self._refused = ""
        if now != self._last and now.is_replaced:
            _log.warning("a request replaced the model configuration: what was given is in force again when it changes")
        self._last = now
        return now.configs

    def given(self) -> Configs:
        """What the user gives; nothing while that cannot be read or makes no sense."""
        try:
            return self._parse(self._given())
        except (FairleadError, OSError):
            return ()

    def replace(self, configs: Configs) -> None:
        """Put `configs` in force until another text is given.

        Raises:
            FairleadError: when that cannot be written down.
        """
        self._write(_State(given=_digest(self._given()), configs=configs, is_replaced=True))

    def _take(self, text: bytes, before: _State | None) -> _State:
        given = _digest(text)
        if before and before.given == given:
            return before
        configs = self._parse(text)
        check_configs(configs)
        taken = _State(given=given, configs=configs)
        # Written down for processes that start while the text makes no sense; where nothing can be written, they wait.
        with contextlib.suppress(FairleadError):
            return self._write(taken, is_given=True)
        return taken

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            _log.error("the model configuration is not taken, the one before it stays in force: %s", reason)
        self._refused = reason

    def _state(self) -> _State | None:
        try:
            data = json.loads(self._path.read_bytes())
            configs = tuple(map(ModelConfig.from_json, data["models"]))
            return _State(given=data["given"], configs=configs, is_replaced=bool(data["is_replaced"]))
        except FileNotFoundError:
            return None
        except (OSError, FairleadError, ValueError, KeyError, TypeError) as error:
            _log.error("%s is damaged, and what is given is in force: %s", self._path, error)
            return None

    def _write(self, state: _State, *, is_given: bool = False) -> _State:
        """Write `state` down, unless it is what is given and was replaced meanwhile; what is in force now."""
        models = [config.to_json() for config in state.configs]
        data = {"given": state.given, "is_replaced": state.is_replaced, "models": models}
        with storage_errors(f"writing {self._path}"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(self._path.with_suffix(".lock")):
                there = self._state() if is_given else None
                if there and there.given == state.given:
                    return there
                write_file(self._path, json.dumps(data, indent=2).encode() + b"\n")
        return state


class ConfiguredSource:
    """Wants the versions of every configured model that its policy chooses, and of models left out nothing.

    Args:
        in_force: the configuration.
        policy: of models whose configuration has none.
        quiet_period_s: see `QuietVersions`.
        roots: directories that all base paths must be in; none for anywhere.
    """

    def __init__(
        self,
        in_force: ConfigInForce,
        *,
        policy: VersionPolicy = LATEST,
        quiet_period_s: float = 2.0,
        roots: Sequence[Path] = (),
    ) -> None:
        self._in_force = in_force
        self._roots = roots
        self._policy = policy
        self._quiet = QuietVersions(quiet_period_s)
        self._known: set[str] = set()

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        configs = self._in_force.read()
        self._known |= {config.name for config in configs}
        aspired = dict.fromkeys(self._known, Aspired())
        problems: dict[str, str] = {}
        for config in configs:
            try:
                if self._roots:
                    check_roots([config], self._roots)
                aspired[config.name] = aspire_plain(
                    Path(config.base_path), config.policy or self._policy, self._quiet, config.labels
                )
            except (FairleadError, OSError) as error:
                del aspired[config.name]
                problems[config.name] = str(error)
            else:
                if not aspired[config.name].versions:
                    problems[config.name] = f"{config.base_path} has no version yet that should be up"
        return aspired, problems


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
