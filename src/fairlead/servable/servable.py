"""The two ports: a Servable answers, a Loader makes one from a directory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors

__all__ = ["Loader", "Servable"]


class Servable(Protocol):
    """A loaded version. Safe to call from several threads at once until it is closed."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        """Run the model on one batch.

        Args:
            inputs: exactly the signature's inputs, of its dtypes and shapes (`Signature.check_inputs` holds).
            outputs: the names wanted; None for all of them.

        Raises:
            FairleadError: INVALID_ARGUMENT when the model refuses the values, INTERNAL when it breaks.
        """

    def close(self) -> None:
        """Free the memory. Called once, when no request holds the servable any more."""


class Loader(Protocol):
    """Makes a Servable from the files of one version."""

    def load(self, directory: Path, manifest: Manifest) -> Servable:
        """Load the version in `directory`, whose digests have been verified.

        Raises:
            FairleadError: the reason, when the files cannot be loaded or do not fit the manifest's signature.
        """
