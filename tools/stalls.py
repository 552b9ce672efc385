"""Runs tests on a machine that stands still for seconds, over and over: `python -m tools.stalls SEED [pytest's words]`.

A test that fails here and passes otherwise takes a stall for a fault: it waits for too short, or measures what a busy
machine does with it.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time

import psutil

__all__ = ["main"]

_STALL_S = 2.5
_LONGEST_RUN_S = 1.5


def main(words: list[str]) -> int:
    """Run pytest with all but the first of the words, which draws the moments; its exit status."""
    moments = random.Random(int(words[0]))  # noqa: S311 - no secret
    with subprocess.Popen([sys.executable, "-m", "pytest", *words[1:]]) as tests:
        while tests.poll() is None:
            time.sleep(moments.uniform(0.2, _LONGEST_RUN_S))
            with contextlib.suppress(psutil.NoSuchProcess):
                _stall(_chosen(psutil.Process(tests.pid), moments))
    return tests.returncode


def _chosen(tests: psutil.Process, moments: random.Random) -> list[psutil.Process]:
    """All processes of the tests, as when the machine stands still, or one of them, as when it gets no turn."""
    family = [tests, *tests.children(recursive=True)]
    return moments.choice([family, [moments.choice(family)]])


def _stall(family: list[psutil.Process]) -> None:
    """Stop them for a while; those that a test has stopped stay so."""
    stopped = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_STOPPED:
                process.send_signal(signal.SIGSTOP)
                stopped.append(process)
    time.sleep(_STALL_S)
    for process in reversed(stopped):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
