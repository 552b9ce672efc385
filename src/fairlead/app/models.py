"""The models that `fairlead serve` serves: where they come from and what loads them, put together."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fairlead.app.releases import open_store
from fairlead.config import Settings, default_labels
from fairlead.errors import Code, FairleadError
from fairlead.servable.pyfunc.layout import PYFUNC_RUNTIME
from fairlead.servable.pyfunc.process import Conditions
from fairlead.servable.pyfunc.servable import PyfuncLoader
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.runtimes.providers import Providers
from fairlead.servable.runtimes.tensorflow import SavedModelLoader
from fairlead.servable.servable import Loader
from fairlead.serving.configured import ConfigInForce, ConfiguredSource
from fairlead.serving.explicit import ChosenModels, ExplicitControl, ExplicitSource
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.model_config import ModelConfig, check_roots
from fairlead.serving.reload import ConfigReload
from fairlead.serving.source import Source, StoreSource
from fairlead.serving.version_policy import VersionPolicy
from fairlead.telemetry.graphs import GraphMetrics
from fairlead.telemetry.load import LoadMetrics
from fairlead.transport.grpc.model_config import parse_model_configs
from fairlead.transport.grpc.warmup import decode_warmup

__all__ = ["check_models", "model_conditions", "open_control", "open_loader", "open_manager", "open_reload"]


def check_models(settings: Settings) -> None:
    """Raise a FairleadError unless the settings name something that can be served, and on something that is there."""
    if settings.providers != ("cpu",):  # which every build has
        _providers(settings).check()
    in_force = _in_force(settings)
    if in_force is None:
        open_store(settings).check()
        return
    try:
        configs = in_force.read()
    except OSError as error:
        raise FairleadError(
            Code.NOT_FOUND, f"the model configuration {settings.model_config_file} cannot be read: {error.strerror}"
        ) from error
    if settings.model_roots:
        check_roots(configs, _roots(settings))


def open_manager(settings: Settings, metrics: LoadMetrics, graphs: GraphMetrics) -> Manager:
    """The manager of what the settings name; nothing is read or loaded yet.

    Raises:
        FairleadError: INVALID_ARGUMENT for a setting that makes no sense.
    """
    return Manager(
        _source(settings),
        open_loader(settings, graphs),
        metrics=metrics,
        default_model=settings.default_model,
        default_labels=default_labels(settings.default_label),
        poll_interval_s=settings.poll_interval_s,
        may_be_empty=settings.model_control == "explicit",
    )


def open_loader(settings: Settings, graphs: GraphMetrics | None = None, *, patience_s: float = 0.0) -> VersionLoader:
    """What loads versions of the store; nothing is read or loaded yet. For the arguments see `VersionLoader`."""
    # One thread a run, and a run for each CPU: many small requests share the machine without a fight for it.
    libraries = [Path(library) for library in settings.operator_libraries]
    loaders: dict[str, Loader] = {
        "onnx": OnnxLoader(1, libraries, _providers(settings)),
        "tensorflow": SavedModelLoader(1, may_use_files=settings.file_operators == "on"),
    }
    if settings.python_models == "on":
        loaders[PYFUNC_RUNTIME] = PyfuncLoader(model_conditions(settings))
    return VersionLoader(
        open_store(settings), loaders, decode_warmup, _roots(settings), graphs=graphs, patience_s=patience_s
    )


def model_conditions(settings: Settings) -> Conditions:
    """Under what the processes of models in Python run."""
    return Conditions(
        interpreter=settings.python_model_interpreter or Path(sys.executable),
        memory_bytes=settings.python_model_memory_bytes,
        run_s=settings.python_model_deadline_s,
    )


def open_reload(settings: Settings, manager: Manager) -> ConfigReload | None:
    """What replaces the model configuration that `manager` follows; None when it follows a store."""
    in_force = _in_force(settings)
    return ConfigReload(in_force, manager, _roots(settings)) if in_force else None


def _source(settings: Settings) -> Source:
    chosen = _chosen(settings)
    if chosen is None:
        return _all_models(settings, settings.models)
    return ExplicitSource(_all_models(settings, ()), chosen)


def _all_models(settings: Settings, required: tuple[str, ...]) -> Source:
    policy = VersionPolicy.parse(settings.version_policy)
    in_force = _in_force(settings)
    if in_force:
        return ConfiguredSource(in_force, policy=policy, quiet_period_s=settings.quiet_period_s, roots=_roots(settings))
    return StoreSource(open_store(settings), required, policy=policy, quiet_period_s=settings.quiet_period_s)


def _providers(settings: Settings) -> Providers:
    return Providers(names=settings.providers, gpu_memory_bytes=settings.gpu_memory_bytes)


def _roots(settings: Settings) -> list[Path]:
    return [Path(root) for root in settings.model_roots]


def _in_force(settings: Settings) -> ConfigInForce | None:
    """The model configuration, if the settings give one."""
    file, base_path = settings.model_config_file, settings.model_base_path
    if file and base_path:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"both a model configuration, {file}, and a single model's base path, {base_path}, are given",
            hint="name the model in the configuration too",
        )
    if file:
        return ConfigInForce(_state_path(settings, file), file.read_bytes, parse_model_configs)
    if base_path:
        config = ModelConfig(name=settings.model_name, base_path=str(base_path.absolute()))
        text = f"{config.name} {config.base_path}".encode()
        return ConfigInForce(_state_path(settings, base_path), lambda: text, lambda _: (config,))
    return None


def _state_path(settings: Settings, given: Path) -> Path:
    """Where what is in force is written down: servers with one home and other models do not disturb each other."""
    digest = hashlib.sha256(str(given.absolute()).encode()).hexdigest()
    return settings.home / "models" / f"{digest[:16]}.json"


def open_control(settings: Settings, manager: Manager) -> ExplicitControl | None:
    """What loads and unloads the manager's models by request, if the settings allow it."""
    chosen = _chosen(settings)
    return ExplicitControl(manager, chosen) if chosen else None


def _chosen(settings: Settings) -> ChosenModels | None:
    if settings.model_control == "release":
        return None
    return ChosenModels(settings.home / "loaded.json", settings.models)
