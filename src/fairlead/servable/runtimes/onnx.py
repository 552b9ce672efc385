"""ONNX models through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column, columns_in
from fairlead.servable.runtimes.onnx_file import check_onnx_file
from fairlead.servable.runtimes.providers import Providers
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import DEFAULT_SIGNATURE, Array, Signature, Tensors, TensorSpec
from fairlead.servable.text_transform import TextTransform, text_transform

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["MODEL_FILE", "OnnxLoader", "OnnxServable", "open_model"]

MODEL_FILE = "model.onnx"
_CPU = Providers()

_MOST_FILLING = 2**17
"""Characters, 4 MB of them."""

_DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
    **{f"tensor({kind})": kind for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}


class OnnxServable:
    """An ONNX Runtime session, with the text transform that its file names. Sessions are safe to run from threads."""

    def __init__(self, session: InferenceSession) -> None:
        self._session: InferenceSession | None = session
        self._outputs = [output.name for output in session.get_outputs()]
        self._strings = [tensor.name for tensor in session.get_inputs() if tensor.type == "tensor(string)"]
        self._transform = text_transform(session.get_modelmeta().custom_metadata_map)

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        wanted = self._outputs if outputs is None else [name for name in self._outputs if name in outputs]
        if self._session is None:
            raise FairleadError(Code.INTERNAL, "the model was closed while a request held it")
        if not wanted:  # ONNX Runtime takes an empty list for all outputs
            return {}
        feeds = {**inputs, **{name: _texts(name, inputs[name], self._transform) for name in self._strings}}
        if self._transform is not None and _is_uneven(feeds):
            (name,) = feeds
            rows = ({name: feeds[name][row : row + 1]} for row in range(len(feeds[name])))
            parts = [self._run(self._session, wanted, row) for row in rows]
            return {output: np.concatenate([part[output] for part in parts]) for output in wanted}
        return self._run(self._session, wanted, feeds)

    @staticmethod
    def _run(session: InferenceSession, wanted: list[str], feeds: Tensors) -> dict[str, Array]:
        try:
            values = session.run(wanted, feeds)
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            code = Code.INVALID_ARGUMENT if type(error).__name__ == "InvalidArgument" else Code.INTERNAL
            raise FairleadError(code, f"the model refused the input: {error}") from error
        return {name: np.asarray(value) for name, value in zip(wanted, values, strict=True)}

    @property
    def provider(self) -> str:
        """Who is asked first to compute."""
        return str(self._session.get_providers()[0]) if self._session else ""

    def close(self) -> None:
        self._session = None


class OnnxLoader:
    """Loads `model.onnx`.

    Args:
        threads: how many threads one run may use.
        libraries, providers: see `open_model`.
    """

    def __init__(self, threads: int = 1, libraries: Sequence[Path] = (), providers: Providers = _CPU) -> None:
        self._threads = threads
        self._libraries = libraries
        self._providers = providers

    def load(self, directory: Path) -> LoadedModel:
        servable, signature = open_model(directory / MODEL_FILE, self._threads, self._libraries, self._providers)
        return LoadedModel(
            signatures={DEFAULT_SIGNATURE: signature},
            servables={DEFAULT_SIGNATURE: servable},
            provider=servable.provider,
        )


def open_model(
    path: Path, threads: int = 1, libraries: Sequence[Path] = (), providers: Providers = _CPU
) -> tuple[OnnxServable, Signature]:
    """The ONNX file at `path`, ready to run, and its signature; the name of a free axis becomes -1.

    Args:
        path: the file.
        threads: how many threads one run may use.
        libraries: shared libraries with operators that ONNX Runtime does not have. Their code runs in this process.
        providers: what computes.

    Raises:
        FairleadError: DATA_LOSS when it cannot be loaded, FAILED_PRECONDITION when a provider does not start,
            UNIMPLEMENTED for a type of tensor that is not served, and what `check_onnx_file` raises for what it asks
            for.
    """
    check_onnx_file(path, may_be_custom=bool(libraries))
    session = _open(path, threads, libraries, providers)
    try:
        return OnnxServable(session), _signature(session)
    except UnicodeDecodeError as error:  # a damaged name is met only when it is read
        raise FairleadError(Code.DATA_LOSS, f"{path.name} cannot be loaded: {error}") from error


def _texts(name: str, array: Array, transform: TextTransform | None) -> Array:
    """The strings as str, transformed: ONNX Runtime would take bytes for their representation in Python."""
    if transform is None and {*map(type, array.ravel().tolist())} <= {str}:
        return array
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"input {name!r} holds bytes that are not text in UTF-8, which is what ONNX takes"
        ) from error
    if transform is not None:
        texts = [transform(text) for text in texts]
    return np.array(texts, object).reshape(array.shape)


def _is_uneven(feeds: Tensors) -> bool:
    """Whether a batch of texts is better run one by one: the runtime fills all up to the longest, 32 bytes a character.

    With one text of 100 kB among 32 that is 120 MB, and 76 ms that are 6 ms apart.
    """
    if len(feeds) != 1:
        return False
    (texts,) = feeds.values()
    if texts.ndim != 1 or len(texts) == 1:
        return False
    sizes = [len(text) for text in texts]
    return max(sizes) * len(sizes) - sum(sizes) > _MOST_FILLING


def _open(path: Path, threads: int, libraries: Sequence[Path], providers: Providers) -> InferenceSession:
    import onnxruntime  # noqa: PLC0415 - 50 MB and 0.2 s that only a process with a model should pay

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads steal the cores of their neighbours in a container.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for library in libraries:
        try:
            options.register_custom_ops_library(str(library.absolute()))
        except Exception as error:  # as above, ONNX Runtime's own
            raise FairleadError(Code.FAILED_PRECONDITION, f"{library} is no library of operators: {error}") from error
    try:
        # Without the fallback, which prints to standard output and tries the same file again.
        session = onnxruntime.InferenceSession(str(path), options, providers=providers.options, enable_fallback=False)
    except Exception as error:  # a damaged file raises many kinds, UnicodeDecodeError among them
        raise FairleadError(Code.DATA_LOSS, f"{path.name} cannot be loaded: {error}") from error
    providers.check_used(session)
    return session


def _signature(session: InferenceSession) -> Signature:
    columns = columns_in(session.get_modelmeta().custom_metadata_map)
    return Signature(inputs=_specs(session.get_inputs(), columns), outputs=_specs(session.get_outputs(), {}))


def _specs(nodes: list[object], columns: Mapping[str, Column]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(node, columns) for node in nodes)


def _spec(node: object, columns: Mapping[str, Column]) -> TensorSpec:
    name, kind, shape = (getattr(node, field) for field in ("name", "type", "shape"))
    if kind not in _DTYPES:
        raise FairleadError(Code.UNIMPLEMENTED, f"tensor {name!r} of {MODEL_FILE} is a {kind}, which is not served")
    sizes = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in shape)
    return TensorSpec(name=name, dtype=_DTYPES[kind], shape=sizes, column=columns.get(name))
