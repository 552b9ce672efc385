"""The two ports: a Servable answers, a Loader makes one for each signature of the model in a directory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairlead.errors import FairleadError
from fairlead.servable.signature import DEFAULT_SIGNATURE, Array, Signature, Tensors

__all__ = ["LoadedModel", "Loader", "NoAnswerError", "Servable"]


class NoAnswerError(FairleadError):
    """None of the rows of a run has an answer, and none of them is to blame: asked alone, each would fare as badly."""


class Servable(Protocol):
    """A signature of a loaded version. Safe to call from several threads at once until it is closed."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        """Run the model on one batch.

        Args:
            inputs: exactly the signature's inputs, of its dtypes and shapes (`Signature.check_inputs` holds).
            outputs: the names wanted; None for all of them.

        Raises:
            FairleadError: INVALID_ARGUMENT when the model refuses the values, INTERNAL when it breaks; NoAnswerError.
        """

    def close(self) -> None:
        """Free the memory. Called once, when no request holds the servable any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        signatures: what it takes and gives, by signature name; at least one.
        servables: who answers, by the same names.
        init_op: see `Manifest.init_op`.
        provider: what computes, where its runtime has a choice.
    """

    signatures: Mapping[str, Signature]
    servables: Mapping[str, Servable]
    init_op: str = ""
    provider: str = ""

    @property
    def default(self) -> str:
        """The name of the signature that is meant when a caller names none."""
        return DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in self.signatures else min(self.signatures)

    def meant_by(self, signature: str) -> str:
        """The signature that a caller means by `signature`: the empty name and TensorFlow's own mean the default."""
        return self.default if signature in ("", DEFAULT_SIGNATURE) else signature

    def close(self) -> None:
        """Close every servable."""
        for servable in self.servables.values():
            servable.close()


class Loader(Protocol):
    """Makes Servables from the files of one version."""

    def load(self, directory: Path) -> LoadedModel:
        """Load the model in `directory`.

        Raises:
            FairleadError: the reason, when the files cannot be loaded.
        """
