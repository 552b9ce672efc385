"""The program of one training run: told what to do in a line on standard input, it answers with one on standard output.

It ends when standard input does: whoever waited for it is gone, and another will begin anew.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import uuid
from typing import Any

from fairlead.app.log_files import open_log_files
from fairlead.app.training import train
from fairlead.config import Settings
from fairlead.controller.labelled_rows import labelled_rows
from fairlead.controller.pipeline import MoreRows
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.database.engine import open_engine
from fairlead.errors import FairleadError
from fairlead.telemetry.logs import configure_logging
from fairlead.telemetry.standard_error import keep_standard_error

__all__ = ["main"]

_REFUSED = 3
_SEEDS = 1 << 31
_log = logging.getLogger(__name__)


def main() -> int:
    """Train; exit status 0 for a published version, 3 when the gate said no, 1 for anything else."""
    told = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_leave_when_alone, daemon=True).start()
    settings = Settings.read({}, **told["settings"])
    configure_logging(keep_standard_error(), settings.log_format)
    open_log_files(settings)
    try:
        answer = _train(settings, told)
    except FairleadError as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201 - the last line is what the controller shows
        return 1
    print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
    return 0 if answer["version"] is not None else _REFUSED


def _train(settings: Settings, told: dict[str, Any]) -> dict[str, Any]:
    outcome = train(
        settings,
        told["recipe"],
        profile=None,
        seed=uuid.UUID(told["pass_id"]).int % _SEEDS,  # another for each pass, and the same when it is begun anew
        say=_log.info,
        config=RetrainConfig.from_json(told["config"]),
        pass_id=told["pass_id"],
        more_rows=_labelled(settings) if told["uses_labels"] else None,
    )
    version = outcome.version.manifest.version if outcome.version else None
    failures = outcome.report.failures
    why = "; ".join(f"{check.name}: {check.detail}" for check in failures) or f"the gate says {outcome.report.verdict}"
    return {
        "version": version,
        "why": why,
        "gate": outcome.report.to_json(),
        "metrics": dict(outcome.metrics),
    }


def _labelled(settings: Settings) -> MoreRows:
    engine = open_engine(settings.database)
    return lambda model, labels, like: labelled_rows(engine, model, labels, like)


def _leave_when_alone() -> None:
    """End at once when nobody waits any more: nothing is half done, for a version appears by one rename."""
    while os.read(sys.stdin.fileno(), 1024):  # not by `sys.stdin`, whose lock Python wants at its own end
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
