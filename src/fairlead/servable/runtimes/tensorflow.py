"""SavedModels through TensorFlow, each signature a callable of one session, as TensorFlow Serving runs them."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["SavedModelLoader", "SavedModelServable"]

_TAG = "serve"
_INIT_OP = "__saved_model_init_op"
_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool",
    17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
"""By the number of TensorFlow's DataType."""
_OUTSIDE = frozenset({
    "CSVDataset", "CSVDatasetV2", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "EagerPyFunc",
    "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2",
    "LMDBDataset", "LMDBReader", "LoadDataset", "MatchingFiles", "MatchingFilesDataset", "PyFunc", "PyFuncStateless",
    "ReadFile", "SaveDataset", "SaveDatasetV2", "SnapshotDataset", "SnapshotDatasetV2", "SqlDataset", "TFRecordDataset",
    "TFRecordDatasetV2", "TFRecordReader", "TFRecordReaderV2", "TextLineDataset", "TextLineReader", "TextLineReaderV2",
    "WholeFileReader", "WholeFileReaderV2", "WriteFile",
})  # fmt: skip
"""Those that read or write files, or run Python; not those of variables and vocabularies, which most models have."""

_log = logging.getLogger(__name__)


class _Session:
    """A TensorFlow session that ends with the last of its callables."""

    def __init__(self, session: Any, run_options: Any) -> None:
        self._session = session
        self._run_options = run_options
        self._users = 0
        self._lock = threading.Lock()

    def make_callable(self, feeds: Sequence[str], fetches: Sequence[str]) -> Callable[..., list[Any]]:
        """A function from the tensors that the graph calls `feeds` to `fetches`, pruned to them and compiled once."""
        from tensorflow.core.protobuf.config_pb2 import CallableOptions  # noqa: PLC0415 - see _import_tensorflow

        options = CallableOptions(feed=feeds, fetch=fetches, run_options=self._run_options)
        # Session.run and Session.make_callable cost 140 us a call and cannot run in the caller's thread; this costs 13.
        made = self._session._make_callable_from_options(options)  # noqa: SLF001 - measured, see above
        with self._lock:
            self._users += 1
        return made  # type: ignore[no-any-return] # TensorFlow has no types

    def let_go(self) -> None:
        """One callable is needed no more."""
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self.close()

    def close(self) -> None:
        """Give the memory back."""
        self._session.close()
        self._session = None
        gc.collect()  # a graph is one big cycle, and a process that serves collects too rarely to wait for that


class SavedModelServable:
    """One signature of a SavedModel."""

    def __init__(self, session: _Session, signature: Signature) -> None:
        self._session = session
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [(spec.name, spec.numpy_dtype) for spec in signature.outputs]
        self._call: Callable[..., list[Any]] | None = session.make_callable(
            [spec.node for spec in signature.inputs], [spec.node for spec in signature.outputs]
        )

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        call = self._call
        if call is None:
            raise FairleadError(Code.INTERNAL, "the model was closed while a request held it")
        try:
            values = call(*[inputs[name] for name in self._inputs])
        except Exception as error:  # TensorFlow's exceptions share no base with those of its conversions
            code = Code.INVALID_ARGUMENT if type(error).__name__ == "InvalidArgumentError" else Code.INTERNAL
            raise FairleadError(code, f"the model refused the input: {_reason(error)}") from error
        return {
            name: np.asarray(value, dtype)
            for (name, dtype), value in zip(self._outputs, values, strict=True)
            if outputs is None or name in outputs
        }

    def close(self) -> None:
        self._call = None
        self._session.let_go()


class SavedModelLoader:
    """Loads `saved_model.pb` and what belongs to it.

    Args:
        threads: how many threads one run may use. With one, it is the caller's own.
        may_use_files: whether models may have operators that read and write files.
    """

    def __init__(self, threads: int = 1, *, may_use_files: bool = False) -> None:
        self._threads = threads
        self._may_use_files = may_use_files

    def load(self, directory: Path) -> LoadedModel:
        tf = _import_tensorflow().compat.v1
        config = tf.ConfigProto(
            intra_op_parallelism_threads=self._threads,
            inter_op_parallelism_threads=self._threads,
            use_per_session_threads=True,
            allow_soft_placement=True,
        )
        raw = tf.Session(graph=tf.Graph(), config=config)
        session = _Session(raw, tf.RunOptions(inter_op_thread_pool=-1 if self._threads == 1 else 0))
        try:
            if not self._may_use_files:
                _check_operators(directory)
            definitions = tf.saved_model.load(raw, [_TAG], str(directory)).signature_def
            del raw
            return _loaded(session, definitions)
        except Exception as error:  # whatever a damaged file makes TensorFlow raise
            session.close()
            if isinstance(error, FairleadError):
                raise
            raise FairleadError(Code.DATA_LOSS, f"{directory} cannot be loaded: {_reason(error)}") from error


def _check_operators(directory: Path) -> None:
    """Raise unless the graphs and functions of the SavedModel keep to themselves: loading one may run it already."""
    # TensorFlow's own reader, since it knows which of several files counts.
    from tensorflow.python.saved_model.loader_impl import parse_saved_model  # noqa: PLC0415 - see _import_tensorflow

    model = parse_saved_model(str(directory))
    graphs = [meta.graph_def for meta in model.meta_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for graph in graphs for function in graph.library.function for node in function.node_def]
    for node in nodes:
        if node.op in _OUTSIDE or (node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:")):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the SavedModel is refused: {node.op} is an operator that reads or writes files, or runs Python",
                hint="FAIRLEAD_FILE_OPERATORS=on, for models that you would run as a program",
            )


def _import_tensorflow() -> Any:
    """TensorFlow, which takes seconds and 400 MB: only a process with a SavedModel should pay for it.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not installed.
    """
    is_new = "tensorflow" not in sys.modules
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow  # noqa: ICN001, PLC0415 - see above
    except ImportError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "a SavedModel needs TensorFlow, which is not installed",
            hint="pip install 'fairlead[tensorflow]'",
        ) from error
    if is_new:
        tensorflow.get_logger().setLevel(logging.ERROR)  # it warns of the loader that TensorFlow Serving uses too
        gc.freeze()  # or each collection would walk its 400,000 objects: 200 ms in which nobody is answered
    return tensorflow


def _loaded(session: _Session, definitions: Mapping[str, Any]) -> LoadedModel:
    signatures: dict[str, Signature] = {}
    refused: list[str] = []
    for name in sorted(definitions.keys() - {_INIT_OP}):
        try:
            signatures[name] = _signature(definitions[name])
        except FairleadError as error:
            refused.append(f"signature {name!r} cannot be served: {error.message}")
    if not signatures:
        raise FairleadError(
            Code.FAILED_PRECONDITION, "; ".join(refused) or f"the SavedModel has no signature under the tag {_TAG!r}"
        )
    for reason in refused:
        _log.warning("%s", reason)
    return LoadedModel(
        signatures=signatures,
        servables={name: SavedModelServable(session, signature) for name, signature in signatures.items()},
        init_op=definitions[_INIT_OP].outputs[_INIT_OP].name if _INIT_OP in definitions else "",
    )


def _signature(definition: Any) -> Signature:
    return Signature(
        inputs=_specs(definition.inputs), outputs=_specs(definition.outputs), method=definition.method_name
    )


def _specs(tensors: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(name, tensors[name]) for name in sorted(tensors))


def _spec(name: str, info: Any) -> TensorSpec:
    if info.dtype not in _DTYPES or not info.name:
        raise FairleadError(Code.UNIMPLEMENTED, f"tensor {name!r} is sparse or of TensorFlow's type {info.dtype}")
    shape = info.tensor_shape
    return TensorSpec(
        name=name,
        dtype=_DTYPES[info.dtype],
        shape=tuple(dim.size for dim in shape.dim),
        is_unranked=shape.unknown_rank,
        node=info.name,
    )


def _reason(error: Exception) -> str:
    """The first line: what follows are nodes of the graph."""
    return (str(getattr(error, "message", "")) or str(error) or type(error).__name__).splitlines()[0]
