"""The models that `fairlead serve` serves: where they come from and what loads them, put together."""

from __future__ import annotations

from fairlead.app.releases import open_store
from fairlead.config import Settings
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.runtimes.tensorflow import SavedModelLoader
from fairlead.servable.servable import Loader
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.source import StoreSource
from fairlead.serving.version_policy import VersionPolicy
from fairlead.telemetry.load import LoadMetrics

__all__ = ["open_manager"]


def open_manager(settings: Settings, metrics: LoadMetrics) -> Manager:
    """The manager of what the settings name; nothing is read or loaded yet.

    Raises:
        FairleadError: INVALID_ARGUMENT for a setting that makes no sense.
    """
    store = open_store(settings)
    source = StoreSource(
        store,
        settings.models,
        policy=VersionPolicy.parse(settings.version_policy),
        quiet_period_s=settings.quiet_period_s,
    )
    # One thread a run, and a run for each CPU: many small requests share the machine without a fight for it.
    loaders: dict[str, Loader] = {"onnx": OnnxLoader(threads=1), "tensorflow": SavedModelLoader(threads=1)}
    return Manager(
        source,
        VersionLoader(store, loaders),
        metrics=metrics,
        default_model=settings.default_model,
        poll_interval_s=settings.poll_interval_s,
    )
