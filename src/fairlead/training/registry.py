"""Experiment runs, registered versions and aliases in MLflow. The only place that talks to it."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import check_model_name, parse_version
from fairlead.training.extras import needs_extras

__all__ = ["CHALLENGER", "CHAMPION", "Registry", "RegistryRun", "RegistryVersion", "RunRecord"]

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

_SQLITE = "sqlite:///"
_USER = re.compile(r"://[^/@\s]*@")
_STORE_VERSION = "store_version"
_STORE_SOURCE = "store_source"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow answers 400 to an alias that is not there
_PARAM_CHARACTERS = 6000

# Set only where the user has not: no usage reports, no question to git, and a dead server is noticed in seconds.
_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryVersion:
    """A registered version.

    Attributes:
        number: MLflow's own number.
        store_version: the model store's version that it stands for; None when it was registered by other means.
        run_id: the run that made it, or empty.
        aliases: its aliases, sorted.
    """

    number: int
    store_version: int | None
    run_id: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as it was recorded.

    Attributes:
        id: the tracker's name for it.
        name: ours.
        model: whose run it is.
        status: the tracker's word: RUNNING, FINISHED, FAILED ...
        started_ms, ended_ms: in milliseconds since 1970; None while it runs.
        metrics: the last value of each.
        params, tags: as they were logged.
    """

    id: str
    name: str
    model: str
    status: str
    started_ms: int
    ended_ms: int | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]


class RegistryRun:
    """One run in the tracker; a `RunSink`. Every method raises UNAVAILABLE when the tracker fails."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param  # noqa: PLC0415 - part of the train extra

        batch = [Param(name, str(value)[:_PARAM_CHARACTERS]) for name, value in values.items()]
        with _reported("params cannot be logged"):
            self._client.log_batch(self.run_id, params=batch)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415 - part of the train extra

        now_ms = time.time_ns() // 1_000_000
        batch = [Metric(name, value, now_ms, step) for name, value in values.items()]
        with _reported("metrics cannot be logged"):
            self._client.log_batch(self.run_id, metrics=batch)

    def picture(self, name: str, png: bytes) -> None:
        self._artifact(name, png)

    def text(self, name: str, text: str) -> None:
        self._artifact(name, text.encode())

    def file(self, path: Path) -> None:
        """Keep a copy of the file, under its own name."""
        with _reported(f"{path.name} cannot be kept as an artifact"):
            self._client.log_artifact(self.run_id, str(path))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the run."""
        with _reported("tags cannot be set"):
            for name, value in values.items():
                self._client.set_tag(self.run_id, name, value)

    def close(self, status: Literal["FINISHED", "FAILED"] = "FINISHED") -> None:
        """End the run."""
        with _reported("the run cannot be ended"):
            self._client.set_terminated(self.run_id, status=status)

    def _artifact(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self.file(path)


class Registry:
    """MLflow's tracker and model registry, with the model store's version numbers.

    Args:
        tracking_uri: such as `sqlite:///home/mlflow.db`, or the address of a team's server.
        artifact_root: where artifacts of new experiments go; None leaves it to the server.

    Raises:
        FairleadError: FAILED_PRECONDITION when MLflow is not installed; every method UNAVAILABLE when it fails.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | None = None) -> None:
        self._artifact_root = artifact_root
        self._is_remote = tracking_uri.startswith(("http://", "https://"))
        self._client = _connect(tracking_uri)

    def start(self, model: str, run_name: str, tags: Mapping[str, str]) -> RegistryRun:
        """Begin a run in the experiment of `model`, which is made when there is none."""
        with _reported("a run cannot be started"):
            run = self._client.create_run(self._experiment(model), tags=dict(tags), run_name=run_name)
        return RegistryRun(self._client, run.info.run_id)

    def register(self, model: str, store_version: int, run_id: str, source: str) -> str:
        """Register a published version and return MLflow's number for it. A second call changes nothing.

        Args:
            model: the model's name.
            store_version: its version in the model store.
            run_id: the run that made it.
            source: where its files are, a path or an address; kept as the tag `store_source`.
        """
        known = self._numbers(model).get(store_version)
        if known is not None:
            return str(known)
        with _reported(f"{model}@{store_version} cannot be registered"):
            self._ensure_model(model)
            tags = {_STORE_VERSION: str(store_version), _STORE_SOURCE: source}
            made = self._client.create_model_version(model, self._admitted(source, run_id), run_id, tags)
        return str(made.version)

    def set_alias(self, model: str, alias: str, store_version: int) -> None:
        """Move `alias` to the registered version that stands for `store_version`.

        Raises:
            FairleadError: NOT_FOUND when that version is not registered.
        """
        number = self._numbers(model).get(store_version)
        if number is None:
            raise FairleadError(
                Code.NOT_FOUND,
                f"{model}@{store_version} is not in the registry, so {alias!r} cannot name it",
                hint="register it first; `fairlead versions` lists what there is",
            )
        with _reported(f"{alias!r} of {model} cannot be moved"):
            self._client.set_registered_model_alias(model, alias, str(number))

    def alias(self, model: str, alias: str) -> int | None:
        """The store version that `alias` names; None when there is no such alias or model."""
        with _reported(f"{alias!r} of {model} cannot be read"):
            found = _or_none(lambda: self._client.get_model_version_by_alias(model, alias))
        return None if found is None else _store_version(found)

    def versions(self, model: str) -> tuple[RegistryVersion, ...]:
        """Every registered version of `model`, oldest first; none when the model is unknown."""
        check_model_name(model)  # it goes into a query
        with _reported(f"the versions of {model} cannot be listed"):
            # The search leaves aliases out; the registered model has them all in one answer.
            registered = _or_none(lambda: self._client.get_registered_model(model))
            found = self._client.search_model_versions(f"name = '{model}'") if registered else []
        aliases = dict(registered.aliases) if registered else {}
        return tuple(sorted((_version(item, aliases) for item in found), key=lambda item: item.number))

    def runs(self, model: str, *, limit: int = 50) -> tuple[RunRecord, ...]:
        """The runs of `model`, the newest first; none when nothing was recorded of it."""
        with _reported(f"the runs of {model} cannot be listed"):
            known = self._client.get_experiment_by_name(check_model_name(model))
            if known is None:
                return ()
            found = self._client.search_runs(
                [known.experiment_id], max_results=limit, order_by=["attributes.start_time DESC"]
            )
        return tuple(_run(item, model) for item in found)

    def run(self, id_: str) -> RunRecord | None:
        """The run of that id; None when there is none."""
        with _reported("a run cannot be read"):
            found = _or_none(lambda: self._client.get_run(id_))
            if found is None:
                return None
            return _run(found, str(self._client.get_experiment(found.info.experiment_id).name))

    def curve(self, id_: str, metric: str) -> tuple[tuple[int, float], ...]:
        """What was logged of a metric: step and value, by step."""
        with _reported(f"{metric} cannot be read"):
            found = self._client.get_metric_history(id_, metric)
        return tuple(sorted((int(one.step), float(one.value)) for one in found))

    def _numbers(self, model: str) -> Mapping[int, int]:
        """MLflow's number for each store version; the newest when one was registered twice."""
        return {item.store_version: item.number for item in self.versions(model) if item.store_version is not None}

    def _admitted(self, source: str, run_id: str) -> str:
        """What MLflow is given as the source: a server refuses paths of its clients, so there the run stands in."""
        is_path = "://" not in source or source.startswith("file:")
        return f"runs:/{run_id}/" if self._is_remote and is_path else source

    def _experiment(self, model: str) -> str:
        known = self._client.get_experiment_by_name(model)
        if known is not None:
            return str(known.experiment_id)
        root = self._artifact_root
        location = None if root is None else (root.resolve() / model).as_uri()
        return str(self._client.create_experiment(model, artifact_location=location))

    def _ensure_model(self, model: str) -> None:
        if _or_none(lambda: self._client.get_registered_model(model)) is None:
            self._client.create_registered_model(model)


def _connect(tracking_uri: str) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between MLflow and its libraries: no user can act on them
        with needs_extras("the model registry"):
            from mlflow import MlflowClient  # noqa: PLC0415 - part of the train extra, a second to import
        for chatty in ("mlflow", "alembic"):  # migrations at INFO on standard error
            logging.getLogger(chatty).setLevel(logging.WARNING)
        with _reported(f"the tracker at {_without_password(tracking_uri)} cannot be opened"):
            if tracking_uri.startswith(_SQLITE):
                Path(tracking_uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _without_password(text: str) -> str:
    """The text without who is said to ask in the URLs that it has: MLflow repeats the whole address."""
    return _USER.sub("://", text)


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Turn whatever MLflow, SQLAlchemy or the connection raises into UNAVAILABLE."""
    try:
        yield
    except Exception as error:  # three libraries' exceptions share no base but Exception
        raise FairleadError(
            Code.UNAVAILABLE,
            f"{what}: {type(error).__name__}: {_without_password(str(error))}",
            hint="check MLFLOW_TRACKING_URI",
        ) from error


def _or_none(ask: Callable[[], Any]) -> Any:
    """The answer, or None when MLflow says that there is no such thing."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - part of the train extra

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def _run(found: Any, model: str) -> RunRecord:
    return RunRecord(
        id=str(found.info.run_id),
        name=str(found.info.run_name or found.info.run_id),
        model=model,
        status=str(found.info.status),
        started_ms=int(found.info.start_time),
        ended_ms=None if found.info.end_time is None else int(found.info.end_time),
        metrics=dict(found.data.metrics),
        params=dict(found.data.params),
        tags=dict(found.data.tags),
    )


def _store_version(found: Any) -> int | None:
    return parse_version(dict(found.tags).get(_STORE_VERSION, ""))


def _version(found: Any, aliases: Mapping[str, str]) -> RegistryVersion:
    number = int(found.version)
    return RegistryVersion(
        number=number,
        store_version=_store_version(found),
        run_id=found.run_id or "",
        aliases=tuple(sorted(alias for alias, named in aliases.items() if int(named) == number)),
    )
