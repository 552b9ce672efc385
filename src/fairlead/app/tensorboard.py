"""What `fairlead tensorboard` runs: TensorBoard over the logs of the training runs, which go when they are old."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from fairlead.app.releases import now
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import needs_extras
from fairlead.training.log_retention import delete_training_logs

__all__ = ["INSTALL", "show_training", "tidy_training_logs", "training_logs"]

INSTALL = "pip install 'fairlead[tensorboard]'"
_TIDY_S = 3600.0
_log = logging.getLogger(__name__)


def training_logs(settings: Settings) -> Path:
    """Where training runs write what TensorBoard reads, a directory each."""
    return settings.home / "tensorboard"


def tidy_training_logs(settings: Settings) -> None:
    """Delete the logs that were kept long enough."""
    keep = timedelta(days=settings.keep_training_logs_days)
    for name in delete_training_logs(training_logs(settings), keep=keep, now=now()):
        _log.info("the logs of the run %s are deleted: it ended over %d days ago", name, keep.days)


def show_training(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Serve TensorBoard until a signal ends it.

    Args:
        settings: where the logs are, how long they are kept, and where to listen.
        on_ready: told the address once it answers.

    Raises:
        FairleadError: FAILED_PRECONDITION where TensorBoard is not installed, UNAVAILABLE when it cannot listen.
    """
    with needs_extras("fairlead tensorboard", INSTALL):
        from tensorboard.program import TensorBoard, TensorBoardServerException  # noqa: PLC0415 - an extra

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    tidy_training_logs(settings)
    training_logs(settings).mkdir(parents=True, exist_ok=True)
    board = TensorBoard()
    board.configure(
        logdir=str(training_logs(settings)),
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        window_title="Fairlead training runs",
    )
    try:
        on_ready(board.launch())
    except TensorBoardServerException as error:
        address = f"{settings.tensorboard_host}:{settings.tensorboard_port}"
        raise FairleadError(
            Code.UNAVAILABLE,
            f"TensorBoard cannot listen on {address}: {error}",
            hint="fairlead tensorboard --tensorboard-port 0 takes a free port",
        ) from error
    while not over.wait(_TIDY_S):
        tidy_training_logs(settings)
