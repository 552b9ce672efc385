"""Brings the versions that are up to those that should be, and lends them to requests."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.prediction import Arm
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable
from fairlead.serving.assignment import place
from fairlead.serving.handle import Handle
from fairlead.serving.loading import VersionLoader
from fairlead.serving.model import Model, ModelVersion
from fairlead.serving.policy import Action, Do, next_action
from fairlead.serving.router import choose
from fairlead.serving.source import Aspired, Source
from fairlead.serving.status import Readiness, State, VersionStatus
from fairlead.serving.target import Target, UnknownSignatureError
from fairlead.store.release import Candidate, Mode
from fairlead.telemetry.load import LoadMetrics
from fairlead.telemetry.usage import resident_bytes

__all__ = ["Manager"]

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0
_MEAN_STABLE = ("champion", "stable")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What a target means as long as nothing changes: the version, who answers for it, and who takes a hold back."""

    version: ModelVersion
    servable: Servable
    manifest: Manifest
    let_go: Callable[[], None]
    arm: str = ""
    trial: Candidate | None = None
    candidate: _Choice | None = None

    def pin(self, shadow: Handle | None = None) -> Handle:
        """A hold on it; the lock is held."""
        self.version.users += 1
        return Handle(
            self.servable, self.manifest, self.let_go, self.arm, is_tried=self.trial is not None, shadow=shadow
        )

    def pin_for(self, key: str) -> Handle:
        """A hold on it or on the candidate, as `key` has it; the lock is held."""
        trial, candidate = self.trial, self.candidate
        if trial is None or candidate is None or place(trial.salt, key) >= trial.weight:
            return self.pin()
        return self.pin(candidate.pin()) if trial.mode is Mode.SHADOW else candidate.pin()


class Manager:
    """Owns every loaded version. What requests call (`acquire`, `describe`, what tells) may be called from any thread.

    Args:
        source: what should be up.
        loader: makes a version answer.
        metrics: told of every load, failure and unload.
        default_model: what a caller who names no model means.
        default_labels: what a caller who names neither version nor label means, by model, and under the empty name of
            the others; "stable" and "champion" mean what is stable, and so does a model that is not there.
        poll_interval_s: seconds between looks at the source.
        may_be_empty: whether a process without any model is as it should be.
    """

    def __init__(
        self,
        source: Source,
        loader: VersionLoader,
        *,
        metrics: LoadMetrics,
        default_model: str | None = None,
        default_labels: Mapping[str, str] = MappingProxyType({}),
        poll_interval_s: float = 0.5,
        may_be_empty: bool = False,
    ) -> None:
        self._source = source
        self._loader = loader
        self._metrics = metrics
        self._default_model = default_model
        self._default_labels = default_labels
        self._poll_interval_s = poll_interval_s
        self._may_be_empty = may_be_empty
        self._models: dict[str, Model] = {}
        self._wanted: tuple[str, ...] = ()  # names of the models of which anything should be up
        self._choices: dict[Target, _Choice] = {}  # forgotten whenever a version or what should be up may have changed
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._has_looked = False
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="load")
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load in the background; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking and loading, and close every servable. Call it when no request is left."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            loaded = [v.loaded for m in self._models.values() for v in m.versions.values() if v.loaded]
        for version in loaded:
            version.close()

    def wake(self) -> None:
        """Look at the source now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self._catch_up()
            except Exception:  # noqa: BLE001 - whatever it is, what serves goes on serving
                _log.exception("the manager could not bring the models up to date; it tries again")
            self._wake.wait(self._poll_interval_s)

    def refresh(self, model: str) -> None:
        """Look at the source now, and try at once again what could not be loaded of `model`. Blocks for the look.

        Raises:
            FairleadError: when the source cannot be read.
        """
        with self._lock:
            for version in self._model(model).versions.values():
                version.forgive()
        self._catch_up()

    def _catch_up(self) -> None:
        with self._looking:
            self._look()
            self._act()

    def _look(self) -> None:
        aspired, problems = self._source.read()
        with self._lock:
            for name in aspired.keys() | problems.keys():
                model = self._models.setdefault(name, self._model(name))
                model.problem = problems.get(name, "")
                # What cannot be read now was readable before: go on with that rather than take the model down.
                if name in aspired:
                    model.want(aspired[name])
                    self._tell_release(name, aspired[name])
            self._has_looked = True
            self._wanted = tuple(sorted(name for name, model in self._models.items() if model.is_wanted()))
            self._choices.clear()

    def _tell_release(self, name: str, aspired: Aspired) -> None:
        trial = aspired.candidate
        self._metrics.released(
            name,
            aspired.revision,
            stable=aspired.stable,
            candidate=trial.version if trial else None,
            weight=trial.weight if trial else 0.0,
        )

    def _act(self) -> None:
        for name, model in list(self._models.items()):
            while True:
                with self._lock:
                    model.settle()
                    action = next_action(model.snapshots(time.monotonic()))
                    if action is None:
                        break
                    self._begin(model, action)
                    self._choices.clear()
                _log.debug("%s: %s", name, action)

    def _begin(self, model: Model, action: Action) -> None:
        """Take one step; the lock is held."""
        version = model.versions[action.version]
        if action.do is Do.LOAD:
            version.state = State.LOADING
            version.attempts += 1
            self._pool.submit(self._load, model, version)
        else:
            version.state = State.UNLOADING
            if version.users == 0:
                self._pool.submit(self._unload, version)

    # -- loading and unloading, in the pool ------------------------------------------------------------------------

    def _load(self, model: Model, version: ModelVersion) -> None:
        began, before_bytes = time.monotonic(), resident_bytes()
        try:
            loaded = self._loader.load(version.id, version.directory)
        except FairleadError as error:
            self._fail(version, error)
        except Exception as error:  # noqa: BLE001 - a broken model must not take another down
            _log.exception("%s could not be loaded", version.id)
            self._fail(version, FairleadError(Code.INTERNAL, f"{type(error).__name__}: {error}"))
        else:
            seconds = time.monotonic() - began
            # Told before it is so: whoever sees the new state finds the figures that belong to it.
            self._metrics.loaded(
                version.id.model,
                version.id.version,
                seconds,
                warmup_s=loaded.warmup_s,
                memory_bytes=max(0, resident_bytes() - before_bytes),
                provider=loaded.model.provider,
            )
            on = f" on {loaded.model.provider}" if loaded.model.provider else ""
            _log.info("%s is loaded and proven after %.3f s%s", version.id, seconds, on)
            with self._lock:
                version.loaded = loaded
                version.error, version.attempts = None, 0
                version.state = State.AVAILABLE
                model.settle()
                self._choices.clear()
        self._wake.set()

    def _fail(self, version: ModelVersion, error: FairleadError) -> None:
        delay = min(_FIRST_RETRY_S * 2 ** (version.attempts - 1), _LAST_RETRY_S)
        self._metrics.failed(version.id.model)
        _log.error("%s cannot be served: %s; next try in %g s", version.id, error, delay)
        with self._lock:
            version.error, version.retry_at = error, time.monotonic() + delay
            version.state = State.END

    def _unload(self, version: ModelVersion) -> None:
        with self._lock:
            loaded, version.loaded = version.loaded, None
        if loaded is not None:
            loaded.close()
            del loaded
            _trim()
        self._metrics.unloaded(version.id.model, version.id.version)
        _log.info("%s is unloaded", version.id)
        with self._lock:
            version.state = State.END
        self._wake.set()

    # -- lending ---------------------------------------------------------------------------------------------------

    def acquire(self, target: Target, key: str = "") -> Handle:
        """Pin the version that `target` means.

        Args:
            target: who should answer.
            key: decides between the stable version and one that is being tried.

        Raises:
            FairleadError: NOT_FOUND or INVALID_ARGUMENT, see `router.choose`; UnknownSignatureError.
        """
        with self._lock:
            choice = self._choices.get(target)
            if choice is None:
                choice = self._choices[target] = self._choose(target)
            return choice.pin() if choice.candidate is None else choice.pin_for(key)

    def describe(self, target: Target) -> Manifest:
        """The manifest of the version that `target` means, whatever is tried beside it; raises as `acquire` does."""
        with self._lock:
            return (self._choices.get(target) or self._choose(target)).manifest

    def _choose(self, target: Target) -> _Choice:
        """Only what is found is remembered, so that what clients invent takes no memory; the lock is held."""
        model = self._model(target.model)
        if model.default_label and model.versions and target.version is None and target.label is None:
            return self._choice(model, self._choose_default(target, model), target.signature)
        number = choose(target, model.aspired, model.available(), model.last)
        if target.version is not None or target.label is not None:
            return self._choice(model, number, target.signature)
        choice = self._choice(model, number, target.signature, Arm.STABLE)
        trial = model.aspired.candidate if model.aspired else None
        if trial is None or trial.version not in model.available() or trial.version == number:
            return choice
        arm = Arm.SHADOW if trial.mode is Mode.SHADOW else Arm.CANDIDATE
        try:
            candidate = self._choice(model, trial.version, target.signature, arm, trial)
        except UnknownSignatureError:  # what the candidate cannot do at all stays with the stable version
            return choice
        return replace(choice, trial=trial, candidate=candidate)

    def _choose_default(self, target: Target, model: Model) -> int:
        """The version that a caller means who names none, where it is not the stable one.

        Raises:
            FairleadError: UNAVAILABLE while the label is not there, or its version not up.
        """
        try:
            return choose(replace(target, label=model.default_label), model.aspired, model.available(), model.last)
        except FairleadError as error:
            raise FairleadError(
                Code.UNAVAILABLE,
                f"{model.name} has no version up with the label {model.default_label!r}, which is meant when a request "
                "names none",
                hint=f"name a version, or: fairlead promote {model.name} VERSION --label {model.default_label}",
            ) from error

    def _default_label(self, model: str) -> str | None:
        label = self._default_labels.get(model, self._default_labels.get(""))
        return None if label in _MEAN_STABLE else label

    def _choice(
        self, model: Model, number: int, signature: str, arm: Arm = Arm.NONE, trial: Candidate | None = None
    ) -> _Choice:
        version = model.versions[number]
        if version.loaded is None:
            raise FairleadError(Code.INTERNAL, f"{version.id} is available but not loaded")
        servable, manifest = version.loaded.answering(signature)
        let_go = functools.partial(self._let_go, version)
        return _Choice(version=version, servable=servable, manifest=manifest, let_go=let_go, arm=arm.value, trial=trial)

    def _model(self, name: str) -> Model:
        """What is held of it, which is nothing for a name that was never heard of."""
        return self._models.get(name) or Model(name=name, default_label=self._default_label(name))

    def _let_go(self, version: ModelVersion) -> None:
        with self._lock:
            version.users -= 1
            is_last = version.users == 0 and version.state is State.UNLOADING
        if is_last:
            self._pool.submit(self._unload, version)

    # -- telling ---------------------------------------------------------------------------------------------------

    def statuses(self, model: str, version: int | None = None) -> tuple[VersionStatus, ...]:
        """The versions of `model` that were ever wanted in this process, newest first.

        Raises:
            FairleadError: NOT_FOUND, in TensorFlow Serving's words.
        """
        with self._lock:
            known = self._model(model).versions
            statuses = tuple(known[number].status() for number in sorted(known, reverse=True))
        if not statuses:
            raise FairleadError(Code.NOT_FOUND, f"Could not find any versions of model {model}")
        if version is None:
            return statuses
        wanted = tuple(status for status in statuses if status.id.version == version)
        if not wanted:
            raise FairleadError(Code.NOT_FOUND, f"Could not find version {version} of model {model}")
        return wanted

    def knows(self, model: str, version: int | None = None) -> bool:
        """Whether `model`, and that version of it, was ever wanted in this process."""
        with self._lock:
            versions = self._model(model).versions
            return bool(versions) if version is None else version in versions

    def models(self) -> tuple[str, ...]:
        """The names of all models that the source ever named, loaded or not."""
        with self._lock:
            return tuple(sorted(self._models))

    def labels(self, model: str) -> dict[str, int]:
        """The versions that names stand for now; "stable" is one where a release says so."""
        with self._lock:
            aspired = self._model(model).aspired
        if aspired is None:
            return {}
        return ({} if aspired.stable is None else {"stable": aspired.stable}) | dict(aspired.labels)

    def outcome(self, model: str) -> str | None:
        """What is wrong with `model`, in a sentence; nothing when it answers, and None while it is being loaded."""
        with self._lock:
            known = self._model(model)
            if known.aspired and not known.aspired.versions and not known.problem:
                return f"{model}: there is nothing of it to load"
            return known.trouble() if known.has_ended() or known.problem else None

    def readiness(self) -> Readiness:
        """Whether every required model can answer, and what stands in the way."""
        with self._lock:
            wanted = {name: model for name, model in sorted(self._models.items()) if model.is_wanted()}
            serving = {name: model.serving() for name, model in wanted.items()}
            troubles = {name: model.trouble() for name, model in wanted.items()}
            unlabelled = tuple(trouble for model in wanted.values() if (trouble := model.label_trouble()))
            has_ended = all(model.has_ended() for model in wanted.values())
        missing = tuple(troubles[name] for name, version in serving.items() if version is None)
        degraded = tuple(troubles[name] for name, version in serving.items() if version is not None and troubles[name])
        degraded += unlabelled
        if not serving and not self._may_be_empty:
            missing = ("there is no model in the store yet",)
        return Readiness(
            is_started=self._has_looked and has_ended and (bool(serving) or self._may_be_empty),
            is_ready=self._has_looked and not missing,
            models=serving,
            missing=missing,
            degraded=degraded,
        )

    def wanted(self) -> frozenset[ServableId]:
        """The versions that should be up, or still are."""
        with self._lock:
            return frozenset(
                version.id
                for model in self._models.values()
                for number, version in model.versions.items()
                if version.state is not State.END or (model.aspired and number in model.aspired.versions)
            )

    def default_model(self) -> str:
        """The model that a caller means who names none.

        Raises:
            FairleadError: INVALID_ARGUMENT when there are several and none is set; NOT_FOUND when there is none.
        """
        if self._default_model:
            return self._default_model
        names = self._wanted
        if len(names) == 1:
            return names[0]
        if not names:
            raise FairleadError(Code.NOT_FOUND, "no model is served yet", hint="GET /health/ready says why")
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{len(names)} models are served and the request names none",
            hint=f"add ?model=NAME, one of {', '.join(names)}",
        )


def _trim() -> None:
    """Give freed memory back to the system: glibc keeps what a model's tensors left. Elsewhere, do nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
