"""A process with one model in it: started, asked, and ended; whatever goes wrong in there is an error here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.disposable import kept_variables
from fairlead.servable.pyfunc import program
from fairlead.servable.pyfunc.layout import Form
from fairlead.servable.pyfunc.place import Place
from fairlead.servable.servable import NoAnswerError
from fairlead.servable.signature import Array, Tensors

__all__ = ["Conditions", "ModelProcess"]

_TAIL_BYTES: Final = 4096
_LAST_WORDS_S: Final = 5.0
_INTERPRETER: Final = "FAIRLEAD_PYTHON_MODEL_INTERPRETER names one that has MLflow and what the model requires"
_LOOK_S: Final = 0.005
_ONE_THREAD: Final[Mapping[str, str]] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what a model's process runs.

    Attributes:
        interpreter: the Python that runs it; its packages are those that the model has.
        memory_bytes: address space that it may have.
        start_s: seconds until it has loaded the model.
        run_s: seconds that one run may take.
    """

    interpreter: Path = Path(sys.executable)
    memory_bytes: int = 2**32
    start_s: float = 120.0
    run_s: float = 10.0


class ModelProcess:
    """A model that is up. One run at a time; after a failure of the process itself it answers no more.

    Args:
        directory: the model as MLflow wrote it; it and what the process writes are the process's own.
        conditions: see there.

    Attributes:
        differs: where the interpreter is not what the model asks for.
        peak_bytes: memory that the process has had at most, as of its last run.

    Raises:
        FairleadError: FAILED_PRECONDITION saying why it does not load.
    """

    def __init__(self, directory: Path, conditions: Conditions) -> None:
        self._conditions = conditions
        if not os.access(conditions.interpreter, os.X_OK) or conditions.interpreter.is_dir():
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{conditions.interpreter} is no interpreter of Python", hint=_INTERPRETER
            )
        self.peak_bytes = 0
        self._scratch = Place()
        self._line, theirs = socket.socketpair()
        command = [str(conditions.interpreter), program.__file__, str(theirs.fileno()), str(directory.absolute())]
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own module, which runs what the operator named
                    [
                        *(sys.executable, "-m", "fairlead.servable.pyfunc.confined"),
                        *(str(conditions.memory_bytes), str(os.getpid()), *command),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=self._variables(),
                    cwd=self._scratch.path,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except BaseException:
            self._line.close()
            self._scratch.close()
            raise
        self._is_ended = False
        self._ending = threading.Lock()
        self._tail = b""
        self._listener = threading.Thread(target=self._listen, name="model's last words", daemon=True)
        self._listener.start()
        try:
            head, _ = self._receive(time.monotonic() + conditions.start_s)
        except FairleadError as error:
            self.close()
            raise self._not_loaded(error.message) from error
        except BaseException:
            self.close()
            raise
        if "error" in head:
            self.close()
            raise self._not_loaded(str(head["error"]))
        self.differs: Sequence[str] = tuple(map(str, head.get("differs", ())))

    def run(self, form: Form, inputs: Tensors, missing: Sequence[str] = ()) -> dict[str, Array]:
        """What the model says of the rows, whatever that is.

        Args:
            form: what the rows are made before the model is given them.
            inputs: the rows.
            missing: columns of texts in which an empty one is missing.

        Raises:
            FairleadError: INVALID_ARGUMENT when the model refuses the rows, INTERNAL when it fails.
            NoAnswerError: when the process hangs or ends; it has ended then.
        """
        texts = {name: _texts(name, array) if array.dtype.kind == "O" else array for name, array in inputs.items()}
        head, outputs = self._ask({"do": "run", "form": form, "missing": list(missing)}, texts)
        self.peak_bytes = int(head.get("peak_bytes", 0))
        return outputs

    def example(self) -> tuple[Form, dict[str, Array]]:
        """The rows that came with the model, and what it takes them as; no rows where none came."""
        head, rows = self._ask({"do": "example"}, {})
        return str(head.get("form", "")), rows

    def wait(self) -> str:
        """Return when the process has ended, with its last words."""
        with contextlib.suppress(ChildProcessError):  # `close` was faster
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return self._last_words()

    def close(self) -> None:
        """End the process, whatever it is at. It may be ended more than once, and from several threads."""
        with self._ending:
            if self._is_ended:
                return
            self._is_ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # and whatever it has started; its number is not free yet
            self._process.wait()
        self._listener.join()
        self._line.close()
        self._scratch.close()

    def _not_loaded(self, reason: str) -> FairleadError:
        lacks = (
            f"it is run by {self._conditions.interpreter}; {_INTERPRETER}" if "ModuleNotFoundError" in reason else ""
        )
        return FairleadError(Code.FAILED_PRECONDITION, f"the model does not load: {reason}", hint=lacks)

    def _variables(self) -> dict[str, str]:
        kept = kept_variables()
        if self._conditions.interpreter != Path(sys.executable):
            kept.pop("PYTHONPATH", None)
        return {**kept, **_ONE_THREAD, "HOME": str(self._scratch.path), "MLFLOW_DISABLE_TELEMETRY": "true"}

    def _listen(self) -> None:
        """Keep the end of what it writes: when it crashes, that says why."""
        stream = self._process.stderr
        assert stream is not None  # noqa: S101 - a pipe was asked for
        with stream:
            while data := os.read(stream.fileno(), _TAIL_BYTES):
                self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def _ask(self, head: Mapping[str, Any], tensors: Tensors) -> tuple[dict[str, Any], dict[str, Array]]:
        if self._is_ended:
            raise NoAnswerError(Code.UNAVAILABLE, "the model's process has ended", hint="try again shortly")
        deadline = time.monotonic() + self._conditions.run_s
        try:
            program.send(lambda data: self._write(data, deadline), head, tensors)
            told, outputs = self._receive(deadline)
        except BaseException:
            self.close()  # what it may still say would be taken for the answer to another question
            raise
        if "error" in told:
            code = Code.INVALID_ARGUMENT if told.get("is_refusal") else Code.INTERNAL
            said = "refused the input" if told.get("is_refusal") else "failed"
            raise FairleadError(code, f"the model {said}: {told['error']}")
        return told, outputs

    def _receive(self, deadline: float) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            return program.receive(lambda size: self._read(size, deadline))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise NoAnswerError(Code.INTERNAL, f"the model's process says what makes no sense: {error}") from error

    def _read(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            with self._on_the_line(deadline):
                count = self._line.recv_into(view)
                if not count:
                    raise ConnectionError
            view = view[count:]
        return data

    def _write(self, data: bytes, deadline: float) -> None:
        with self._on_the_line(deadline):
            self._line.sendall(data)

    @contextlib.contextmanager
    def _on_the_line(self, deadline: float) -> Iterator[None]:
        try:
            self._line.settimeout(max(deadline - time.monotonic(), 1e-3))
            yield
        except TimeoutError as error:
            raise NoAnswerError(Code.DEADLINE_EXCEEDED, "the model's process did not answer in time") from error
        except OSError as error:
            raise NoAnswerError(Code.INTERNAL, f"the model's process ended: {self._last_words()}") from error

    def _last_words(self) -> str:
        """Why the process has ended, or is about to."""
        signaled = self._signal()
        self._listener.join(_LAST_WORDS_S)
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return ", ".join([*signaled, *lines[-1:]]) or "it said nothing"

    def _signal(self) -> list[str]:
        """What it was killed by, if it was. The line breaks a moment before the process is gone."""
        until, number = time.monotonic() + _LAST_WORDS_S, 0
        try:
            while time.monotonic() < until:
                ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
                if ended is not None:
                    number = ended.si_status if ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED) else 0
                    break
                time.sleep(_LOOK_S)
        except ChildProcessError:  # `close` was here
            number = max(0, -self._process.wait())
        return [f"killed by {signal.Signals(number).name}"] if number else []


def _texts(name: str, array: Array) -> Array:
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"input {name!r} holds bytes that are not text in UTF-8") from error
    return np.array(texts, object).reshape(array.shape)
