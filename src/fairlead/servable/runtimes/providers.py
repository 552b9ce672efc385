"""What ONNX Runtime computes on: execution providers, in the order in which an operator is offered to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fairlead.errors import Code, FairleadError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["Providers"]

_FULL_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
)
_INSTALL = "pip uninstall onnxruntime, then pip install onnxruntime-gpu, on a host with CUDA (and TensorRT)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The providers that are asked for.

    Attributes:
        names: cpu, cuda, tensorrt; the first one is preferred. What none of the others can do, the CPU does.
        gpu_memory_bytes: what CUDA's arena, and TensorRT's workspace, may take in one process; None for no limit.
    """

    names: tuple[str, ...] = ("cpu",)
    gpu_memory_bytes: int | None = None

    @property
    def options(self) -> list[tuple[str, dict[str, Any]]]:
        """They and their options, as ONNX Runtime takes them.

        >>> Providers(names=("cuda", "cpu"), gpu_memory_bytes=2**30).options[0][1]["gpu_mem_limit"]
        1073741824
        """
        return [(_FULL_NAMES[name], self._options_of(name)) for name in self.names]

    def check(self) -> None:
        """Raise FAILED_PRECONDITION unless the ONNX Runtime that is installed has them all."""
        import onnxruntime  # noqa: PLC0415 - only a process with a model should pay for it

        there = onnxruntime.get_available_providers()
        missing = [name for name in self.names if _FULL_NAMES[name] not in there]
        if missing:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the ONNX Runtime that is installed has no provider {', '.join(missing)}; it has {', '.join(there)}",
                hint=f"{_INSTALL}; or FAIRLEAD_PROVIDERS=cpu",
            )

    def check_used(self, session: InferenceSession) -> None:
        """Raise FAILED_PRECONDITION unless the session has them: ONNX Runtime leaves out what cannot start."""
        used = session.get_providers()
        left_out = [name for name in self.names if _FULL_NAMES[name] not in used]
        if left_out:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the provider {', '.join(left_out)} does not start on this host; {', '.join(used)} would answer",
                hint="look for its driver and libraries, or set FAIRLEAD_PROVIDERS=cpu",
            )

    def _options_of(self, name: str) -> dict[str, Any]:
        if self.gpu_memory_bytes is None or name == "cpu":
            return {}
        if name == "tensorrt":
            return {"trt_max_workspace_size": self.gpu_memory_bytes}
        # Grown by what is asked for: doubling would pass the limit at half of it.
        return {"gpu_mem_limit": self.gpu_memory_bytes, "arena_extend_strategy": "kSameAsRequested"}
