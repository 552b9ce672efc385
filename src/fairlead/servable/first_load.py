"""The first load of a model that nobody knows, in a process that may break: `python -m fairlead.servable.first_load`.

The process has limits of time and memory, no network where the kernel lets it go without, and no variable of the
environment that it does not need. What it leaves is `golden.npz`: a sample made from the signature, and the answers; or
the first rows of a proof, which are those of the object that the file was made of.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.cost import cost_since, peak_bytes
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Cost
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["FirstLoad", "Limits", "load_first"]

_ROWS = 3
_GOLDEN_ROWS = 32
_PART_ROWS = 256
_FREE_SIZES = (1, 16, 64, 224)
"""Tried in turn for axes of any length: a sequence, a small picture, a large one."""
_FILE_BYTES = 2**26
_FILES = 256
_CLONE_NEWUSER, _CLONE_NEWNET, _PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 38
_VARIABLES: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a model may take while it is loaded for the first time.

    Attributes:
        time_s: seconds, of the clock and of each CPU.
        memory_bytes: memory, besides what the runtime itself has.
    """

    time_s: float = 60.0
    memory_bytes: int = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLoad:
    """What the first load of a model found.

    Attributes:
        signature: what it takes and gives.
        cost: what it costs.
        difference: the largest difference from a proof, see `Golden.prove`; 0 without one.
    """

    signature: Signature
    cost: Cost
    difference: float

    def to_json(self) -> list[Any]:
        return [self.signature.to_json(), self.cost.to_json(), self.difference]

    @staticmethod
    def from_json(data: Sequence[Any]) -> FirstLoad:
        signature, cost, difference = data
        return FirstLoad(
            signature=Signature.from_json(signature), cost=Cost.from_json(cost), difference=float(difference)
        )


def load_first(
    directory: Path,
    limits: Limits,
    sample: Path | None = None,
    libraries: Sequence[Path] = (),
    proof: Path | None = None,
) -> FirstLoad:
    """Load the ONNX model in `directory`, ask it, and leave what it answered there as golden rows.

    Args:
        directory: holds the model, and nothing that must not be lost.
        limits: what it may take.
        sample: rows to ask it, an `.npz` with an array for each input; None for some made from its signature.
        libraries: see `open_model`.
        proof: golden rows that it should give, in place of a sample; how far it is from them is for others to judge.

    Raises:
        FairleadError: FAILED_PRECONDITION saying how it failed, crashed, hung or ran out of memory.
    """
    order = {
        "directory": str(directory),
        "sample": str(sample.absolute()) if sample else None,
        "libraries": [str(library) for library in libraries],
        "proof": str(proof.absolute()) if proof else None,
        "time_s": limits.time_s,
        "memory_bytes": limits.memory_bytes,
    }
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "fairlead.servable.first_load", json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**kept, "OPENBLAS_NUM_THREADS": "1"},
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
    return FirstLoad.from_json(json.loads(out.splitlines()[-1]))


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


def _load_here(order: Mapping[str, Any]) -> FirstLoad:
    """What the process does."""
    import onnxruntime  # noqa: F401, PLC0415 - before the limits: the runtime's own memory is not the model's

    _leave_the_network()
    _limit(order["time_s"], order["memory_bytes"])
    directory, before = Path(order["directory"]), peak_bytes()
    servable, signature = open_model(
        directory / MODEL_FILE, libraries=[Path(library) for library in order["libraries"]]
    )
    if order["proof"]:
        golden, difference = _compare(servable, signature, Golden.load(Path(order["proof"])))
    else:
        given = Path(order["sample"]) if order["sample"] else None
        golden = _ask(servable, signature, [_read_sample(given, signature)] if given else _samples(signature))
        difference = 0.0
    golden.save(directory / GOLDEN_FILE)
    if not order["proof"]:
        Golden.load(directory / GOLDEN_FILE).prove(servable)
    row = {
        spec.name: golden.inputs[spec.name][:1] if spec.shape[:1] == (-1,) else golden.inputs[spec.name]
        for spec in signature.inputs
    }
    return FirstLoad(signature=signature, cost=cost_since(before, servable, row), difference=difference)


def _compare(servable: Servable, signature: Signature, proof: Golden) -> tuple[Golden, float]:
    """The first rows of the proof, and how far the model is from all of them; one is asked alone, others together."""
    signature.check_inputs(proof.inputs)
    starts = [0, *range(1, proof.rows, _PART_ROWS), proof.rows]
    parts = [proof.part(start, stop) for start, stop in pairwise(starts)]
    return proof.part(0, _GOLDEN_ROWS), max(part.prove(servable, np.inf) for part in parts)


def _leave_the_network() -> None:
    """A network namespace of its own has no network; where the kernel refuses one, nothing of ours would use it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _limit(time_s: float, memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
    seconds = max(1, round(time_s))
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ask(servable: Servable, signature: Signature, samples: Iterator[Tensors] | list[Tensors]) -> Golden:
    """The first of the samples that the model answers, with what it answers in numbers.

    Raises:
        FairleadError: INVALID_ARGUMENT with the reason when it answers none.
    """
    refused: FairleadError | None = None
    for sample in samples:
        try:
            signature.check_inputs(sample)
            answer = servable.predict(sample)
        except FairleadError as error:
            refused = error
            continue
        return Golden(inputs=sample, outputs=_numbers(answer))
    reason = refused.message if refused else "its inputs have no fixed number of axes"
    raise FairleadError(Code.INVALID_ARGUMENT, f"it answers no sample: {reason} (give it rows: --sample ROWS.npz)")


def _numbers(answer: Tensors) -> dict[str, Array]:
    """The answers that can be compared with others later.

    Raises:
        FairleadError: FAILED_PRECONDITION when one is not finite or none is a number.
    """
    numbers = {name: array for name, array in answer.items() if array.dtype.kind in "fiub"}
    for name, array in numbers.items():
        if not np.isfinite(array).all():
            raise FairleadError(Code.FAILED_PRECONDITION, f"its output {name!r} is not finite for the sample")
    if not numbers:
        raise FairleadError(Code.UNIMPLEMENTED, "none of its outputs holds numbers, so nothing could prove it later")
    return numbers


def _samples(signature: Signature) -> Iterator[Tensors]:
    """Rows that fit the signature: random ones, then zeros, for each size that free axes may have."""
    if any(spec.is_unranked for spec in signature.inputs):
        return
    free = any(-1 in spec.shape[1:] for spec in signature.inputs)
    for size in _FREE_SIZES if free else _FREE_SIZES[:1]:
        for is_zero in (False, True):
            dice = np.random.default_rng(0)
            yield {spec.name: _rows(spec, size, None if is_zero else dice) for spec in signature.inputs}


def _rows(spec: TensorSpec, size: int, dice: np.random.Generator | None) -> Array:
    shape = tuple(_ROWS if axis == 0 and length == -1 else abs(length) * (size if length == -1 else 1)
                  for axis, length in enumerate(spec.shape))  # fmt: skip
    if spec.dtype == "string":
        return np.full(shape, "sample", object)
    if dice is None:
        return np.zeros(shape, spec.numpy_dtype)
    if spec.numpy_dtype.kind == "f":
        return dice.random(shape).astype(spec.numpy_dtype)
    return dice.integers(0, 2, shape).astype(spec.numpy_dtype)


def _read_sample(path: Path, signature: Signature) -> Tensors:
    """The rows in the file at `path`, in the signature's dtypes.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is no such file or has other inputs.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {spec.name: arrays[spec.name].astype(spec.numpy_dtype) for spec in signature.inputs}
    except Exception as error:  # damaged archives raise many kinds
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{path} is no sample with the inputs {[spec.name for spec in signature.inputs]}"
        ) from error


if __name__ == "__main__":
    try:
        found = _load_here(json.loads(sys.argv[1]))
        print(json.dumps(found.to_json()))  # noqa: T201 - the answer to the parent process
    except FairleadError as failure:
        sys.exit(" ".join(failure.message.split()))
    except MemoryError:
        sys.exit("MemoryError")
