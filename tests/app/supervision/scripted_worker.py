"""A worker without a data plane, which does what a script says: `scripted_worker.py SCRIPT DESCRIPTOR`.

The script is a file with a behaviour a line. Each start takes the next line, and the last line once they are used up.
"""

import socket
import sys
from pathlib import Path

from fairlead.app.supervision.control import Failure, Order, Report
from fairlead.errors import Code, FairleadError
from fairlead.serving.status import Readiness

READY = Report(readiness=Readiness(is_started=True, is_ready=True, models={"m": 1})).line()


def behaviour(script: Path) -> str:
    """The next line; `SCRIPT.started` has a byte for each that was taken."""
    lines = script.read_text().splitlines()
    with script.with_suffix(".started").open("ab") as started:
        started.write(b".")
        return lines[min(started.tell(), len(lines)) - 1]


line = socket.socket(fileno=int(sys.argv[2]))
orders = line.makefile("rb")
orders.readline()
told = behaviour(Path(sys.argv[1]))
if told == "die":
    sys.exit(3)
if told == "fail":
    line.sendall(Failure(FairleadError(Code.NOT_FOUND, "there is no store", hint="make one")).line())
    sys.exit(1)
line.sendall(Report().line() if told == "load for ever" else READY)
if told == "die later":
    sys.exit(4)
for order in orders:
    if Order.parse(order) is Order.DRAIN and told != "ignore orders":
        sys.exit(0)
