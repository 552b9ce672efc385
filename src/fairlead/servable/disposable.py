"""A process for what nobody trusts yet: it may crash, hang or want all memory, and takes nobody with it.

It has limits of time and memory, no network where the kernel lets it go without, and no variable of the environment
that it does not need.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.errors import Code, FairleadError

__all__ = ["Limits", "answer", "bound", "confine", "kept_variables", "leave_the_network", "run_disposable"]

_FILE_BYTES = 2**26
_FILES = 256
_CLONE_NEWUSER, _CLONE_NEWNET, _PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 38
_VARIABLES: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the process may take.

    Attributes:
        time_s: seconds, of the clock and of each CPU.
        memory_bytes: memory, besides what it has before it is confined.
    """

    time_s: float = 60.0
    memory_bytes: int = 2**31


def run_disposable(module: str, order: Mapping[str, Any], limits: Limits) -> Any:
    """What `python -m module` answers to `order` in a process of its own; it ends with `answer`.

    Raises:
        FairleadError: FAILED_PRECONDITION saying how it failed, crashed, hung or ran out of memory.
    """
    words = json.dumps({**order, "time_s": limits.time_s, "memory_bytes": limits.memory_bytes})
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**kept_variables(), "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=limits.time_s)
    except subprocess.TimeoutExpired as error:
        raise _refused(f"it did not load and answer within {limits.time_s:g} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            process.communicate()
    if process.returncode != 0:
        raise _refused(_last_words(process.returncode, err, limits))
    return json.loads(out.splitlines()[-1])


def kept_variables() -> dict[str, str]:
    """What of the environment such a process needs: no key, no password."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def answer(work: Callable[[Mapping[str, Any], Limits], Any]) -> None:
    """What such a module does when it is run: its answer, as JSON, to what it was ordered; or why there is none."""
    order = json.loads(sys.argv[1])
    try:
        found = work(order, Limits(time_s=order["time_s"], memory_bytes=order["memory_bytes"]))
        print(json.dumps(found))  # noqa: T201 - the answer to the parent process
    except FairleadError as failure:
        sys.exit(" ".join(str(failure).split()))
    except MemoryError:
        sys.exit("MemoryError")


def _last_words(status: int, err: bytes, limits: Limits) -> str:
    if status == -signal.SIGXCPU:
        return f"it took more than {limits.time_s:g} s of a CPU"
    if status < 0:
        return f"its process crashed with {signal.Signals(-status).name}"
    lines = err.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"exit status {status}"
    if any(word in last for word in ("bad_alloc", "bad allocation", "Failed to allocate memory", "MemoryError")):
        return f"it needs more than {limits.memory_bytes:,} bytes of memory"
    return last


def _refused(reason: str) -> FairleadError:
    return FairleadError(Code.FAILED_PRECONDITION, f"the model is refused: {reason}")


def leave_the_network() -> None:
    """A network namespace of its own has no network; where the kernel refuses one, nothing of ours would use it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def confine(limits: Limits, file_bytes: int = _FILE_BYTES) -> None:
    """What the process itself does before it looks at anything; the libraries that it has loaded by then are free.

    Args:
        limits: what it may take from here on.
        file_bytes: the largest file that it may write.
    """
    leave_the_network()
    bound(limits.memory_bytes, file_bytes)
    seconds = max(1, round(limits.time_s))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def bound(memory_bytes: int, file_bytes: int = _FILE_BYTES) -> None:
    """Bound what the process may take from here on, but for time; see `confine`."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
