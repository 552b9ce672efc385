"""What a model's process is before it is that: `python -m fairlead.servable.pyfunc.confined BYTES PARENT COMMAND...`.

It takes leave of the network and of more rights, bounds its memory, and becomes the interpreter that runs the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from fairlead.servable.disposable import bound, leave_the_network

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command."""
    memory_bytes, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    leave_the_network()
    bound(memory_bytes)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # last: other credentials undo it
    if os.getppid() != parent:  # it was gone before
        return
    os.execv(command[0], command)  # noqa: S606 - the interpreter that the operator named


if __name__ == "__main__":
    main()
