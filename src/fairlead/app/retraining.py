"""Training runs of the controller: a process each, which ends with the one that began it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from fairlead.config import Settings
from fairlead.controller.controller import Result
from fairlead.controller.passes import Status
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.errors import Code, FairleadError

__all__ = ["SubprocessTrainer"]

_REFUSED = 3
_MOST_SAID = 400
_STOP_S = 10.0


class SubprocessTrainer:
    """Trains by `fairlead train` in a process of its own: a training framework never gets into the controller.

    Args:
        settings: where everything is.
        recipes: by model, what `fairlead train` is given.
        uses_labels: whether labelled predictions join the training rows.
    """

    def __init__(self, settings: Settings, recipes: Mapping[str, str], *, uses_labels: bool = False) -> None:
        self._settings = settings
        self._recipes = recipes
        self._uses_labels = uses_labels

    def begin(self, model: str, pass_id: str, config: RetrainConfig) -> Run:
        """Begin to train."""
        if model not in self._recipes:
            raise FairleadError(Code.NOT_FOUND, f"no recipe of {model} is known", hint="fairlead controller RECIPE")
        settings = self._settings
        command = [sys.executable, "-m", "fairlead.app.training_process", self._recipes[model]]
        told = {
            "settings": settings.texts(),
            "recipe": self._recipes[model],
            "pass_id": pass_id,
            "config": config.to_json(),
            "uses_labels": self._uses_labels,
        }
        return Run(command, json.dumps(told).encode() + b"\n")


class Run:
    """A training process. Its standard input stays open as long as somebody waits for it."""

    def __init__(self, command: list[str], told: bytes) -> None:
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the run
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - likewise
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.PIPE, stdout=self._answer, stderr=self._log, process_group=0
        )
        if self._process.stdin is not None:
            self._process.stdin.write(told)
            self._process.stdin.flush()

    def poll(self) -> Result | None:
        """What it came to; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        answer, said = self._read()
        self._close()
        if status in (0, _REFUSED) and answer:
            return _result(answer)
        why = said or f"the training process ended with status {status}"
        return Result(status=Status.FAILED, version=None, why=why, evidence={"status": status})

    def stop(self) -> None:
        """End it; what it had not published is nowhere."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close()

    def _read(self) -> tuple[dict[str, Any], str]:
        self._answer.seek(0)
        self._log.seek(0)
        lines = [line for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        answer = self._answer.read().strip()
        return json.loads(answer) if answer else {}, (lines[-1] if lines else "")[:_MOST_SAID]

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._answer.close()
        self._log.close()


def _result(answer: Mapping[str, Any]) -> Result:
    version = answer["version"]
    evidence = {"gate": answer["gate"], "metrics": answer["metrics"]}
    if version is None:
        return Result(status=Status.REFUSED, version=None, why=answer["why"], evidence=evidence)
    return Result(status=Status.PUBLISHED, version=version, why=answer["why"], evidence=evidence)
