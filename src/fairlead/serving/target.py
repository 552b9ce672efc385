"""Which version and which signature of which model a caller asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.errors import Code, FairleadError

__all__ = ["Target", "UnknownSignatureError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model, and at most one of a version and a label; neither means what answers by default.

    Attributes:
        signature: the name of one of the model's signatures; empty for its default.
    """

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = ""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.model, self.version, self.label, self.signature)))

    def __hash__(self) -> int:
        """Reckoned once: every request looks its target up."""
        return self._hash

    def __str__(self) -> str:
        """The words TensorFlow Serving uses: `Latest(digits)` or `Specific(digits, 3)`."""
        return f"Latest({self.model})" if self.version is None else f"Specific({self.model}, {self.version})"


class UnknownSignatureError(FairleadError):
    """The model has no signature of that name. The words are those of TensorFlow Serving's REST dialect."""

    def __init__(self, signature: str, known: str) -> None:
        super().__init__(
            Code.INVALID_ARGUMENT,
            f'Serving signature name: "{signature}" not found in signature def',
            hint=f"signatures of the model: {known}",
        )
        self.signature = signature
