"""Plain models as TensorFlow Serving's users configure them: where each is, and what of it should be up."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import check_model_name
from fairlead.serving.version_policy import VersionPolicy

__all__ = ["ModelConfig", "check_configs", "check_roots", "neighbourhood"]

_PLATFORMS = frozenset({"tensorflow", "onnx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One model.

    Attributes:
        name: what clients call it.
        base_path: the directory that has its versions.
        platform: what its author says that it is made for; the files of each version decide.
        policy: which versions should be up; None for the server's own policy.
        labels: names for versions.
    """

    name: str
    base_path: str
    platform: str = "tensorflow"
    policy: VersionPolicy | None = None
    labels: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "base_path": self.base_path,
            "platform": self.platform,
            "policy": str(self.policy) if self.policy else None,
            "labels": dict(self.labels),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ModelConfig:
        policy = data["policy"]
        return ModelConfig(**{**data, "policy": None if policy is None else VersionPolicy.parse(policy)})


def check_configs(configs: Iterable[ModelConfig]) -> None:
    """Raise INVALID_ARGUMENT, in TensorFlow Serving's words where it has some, unless `configs` can be served."""
    names: set[str] = set()
    for config in configs:
        if config.name in names:
            raise _invalid(f"Illegal to list model {config.name} multiple times in config list")
        names.add(config.name)
        check_model_name(config.name)
        _check_platform(config)
        _check_base_path(config)


def check_roots(configs: Iterable[ModelConfig], roots: Collection[Path]) -> None:
    """Raise INVALID_ARGUMENT unless every base path, links followed, is in one of the directories `roots`."""
    allowed = [os.path.realpath(root) for root in roots]
    for config in configs:
        base = Path(os.path.realpath(config.base_path))
        if not any(base.is_relative_to(root) for root in allowed):
            raise _invalid(
                f"model {config.name} has the base path {config.base_path}, where no model may be",
                hint="FAIRLEAD_MODEL_ROOTS names the directories that models may be in",
            )


def neighbourhood(configs: Iterable[ModelConfig]) -> frozenset[Path]:
    """The directories that the base paths are in; the base path itself where that is the file system's root."""
    bases = [Path(config.base_path) for config in configs]
    return frozenset(base if base.parent == base.parent.parent else base.parent for base in bases)


def _check_platform(config: ModelConfig) -> None:
    if not config.platform:
        raise _invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {config.name}"
        )
    if config.platform not in _PLATFORMS:
        raise _invalid(f"Model {config.name} requests unsupported platform {config.platform}")


def _check_base_path(config: ModelConfig) -> None:
    if "://" in config.base_path:
        raise _invalid(
            f"model {config.name} has the base path {config.base_path}, which is no directory of this machine",
            hint="mount it, or copy the versions here",
        )
    if not Path(config.base_path).is_absolute():
        raise _invalid(
            f"Expected model {config.name} to have an absolute path or URI; got base_path()={config.base_path}"
        )


def _invalid(message: str, hint: str = "") -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, message, hint=hint)
