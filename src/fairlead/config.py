"""Every setting, defined once: flags, environment variables and `docs/settings.md` follow from `Settings`."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.metering.per_model import per_model
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = [
    "LOCAL",
    "Settings",
    "add_flags",
    "available_cpus",
    "check_flags",
    "default_labels",
    "markdown",
    "parse_engine",
    "read_secret",
]

LOCAL = "local"
"""The engine that works in this process."""
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&](password|sslpassword|token)=")
_NO_FLAGS = frozenset({"notify", "redis_url"})
"""There is hardly an address of whom to tell, or of a Redis, without a password."""

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def _setting(
    env: str,
    default: Any,
    parse: Callable[[str], Any],
    describe: str,
    shown: str = "",
    *,
    is_secret: bool = False,
    usual: str = "",
) -> Any:
    """A field of `Settings`: its environment variable, default, parser, and what the reference says of it.

    A secret one may have a password in it: it can come from a file that the variable with `_FILE` behind it names.
    `usual` is a variable that containers with a model have anyway, and that counts where ours is not set.
    """
    told = {"env": env, "parse": parse, "describe": describe, "shown": shown, "is_secret": is_secret, "usual": usual}
    return dataclasses.field(default=default, metadata=told)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("must be at least 0")
    return value


def _positive_or_auto(text: str) -> int | None:
    return None if text == "auto" else _positive(text)


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:  # noqa: PLR2004 - what a port is
        raise ValueError("must be between 0 and 65535")
    return value


def _time_in(unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not 0 <= value < float("inf"):
            raise ValueError(f"must be a number of {unit}, 0 or more")
        return value

    return parse


_seconds = _time_in("seconds")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("must be a share, from 0 to 1")
    return value


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise ValueError("must be the name of a header")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise ValueError("must be a URL of http or https")
    return text


def _safe_url(text: str) -> str:
    if not re.fullmatch(r"https://[^/\s@]+(/\S*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?(/\S*)?", text):
        raise ValueError("must be a URL of https, or of http on this machine, without a password")
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = _names(text)
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]+)?|https?://\[[0-9a-f:.]+\](:[0-9]+)?", origin):
            raise ValueError("must be origins by commas, as browsers send them: https://shop.example; * is none")
    return origins


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def _some_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        given = _names(text)
        for word in given:
            if word not in words:
                raise ValueError(f"must be some of {', '.join(words)}, by commas")
        return given

    return parse


def _directory_or_bucket(text: str) -> Path | str:
    return text.rstrip("/") if "://" in text else Path(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def default_labels(texts: Iterable[str]) -> dict[str, str]:
    """Each model's label, of `MODEL=LABEL`; that of all others, of `LABEL` alone, is under the empty name.

    Raises:
        ValueError: when one is none, or a model has two.
    """
    labels: dict[str, str] = {}
    for text in texts:
        model, has_model, label = text.rpartition("=")
        if model in labels or (has_model and not model) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", label):
            raise ValueError(f"{text!r:.80}: must be MODEL=LABEL, each model once, or LABEL for all others")
        labels[model] = label
    return labels


def _default_label(text: str) -> tuple[str, ...]:
    given = _names(text)
    default_labels(given)
    return given


def _model_rates(text: str) -> tuple[str, ...]:
    given = _names(text)
    per_model(given, Rate)
    return given


def _model_quotas(text: str) -> tuple[str, ...]:
    given = _names(text)
    per_model(given, Quota)
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process was told. Built by `Settings.read`; paths are as given, relative to the working directory."""

    home: Path = _setting(
        "FAIRLEAD_HOME", Path(".fairlead"), Path, "where everything that the embedded defaults write goes"
    )
    store: Path | str | None = _setting(
        "FAIRLEAD_STORE",
        None,
        _directory_or_bucket,
        "the model store: a directory, or a bucket as s3://BUCKET/FOLDER (gs://, az://)",
        "HOME/store",
    )
    store_cache_bytes: int = _setting(
        "FAIRLEAD_STORE_CACHE_BYTES",
        10 * 2**30,
        _positive,
        "disk for versions of a bucket that no release names; those not needed for longest go first",
    )
    data_dir: Path | None = _setting("FAIRLEAD_DATA_DIR", None, Path, "pre-downloaded data sets (mnist/*.gz)", "unset")
    env: str = _setting(
        "FAIRLEAD_ENV",
        "dev",
        _one_of("dev", "staging", "prod"),
        "dev, staging or prod; chooses the training profile, and whether there is a page to try models on",
    )
    tracking_uri: str | None = _setting(
        "MLFLOW_TRACKING_URI", None, str, "the MLflow registry", "sqlite in HOME", is_secret=True
    )
    host: str = _setting("FAIRLEAD_HOST", "127.0.0.1", str, "address to listen on; :: or 0.0.0.0 for all")
    rest_port: int = _setting("FAIRLEAD_REST_PORT", 8501, _port, "port of the REST protocols; 0 takes a free one")
    grpc_port: int = _setting("FAIRLEAD_GRPC_PORT", 8500, _port, "port of the gRPC protocols; 0 takes a free one")
    management_host: str = _setting(
        "FAIRLEAD_MANAGEMENT_HOST",
        "127.0.0.1",
        str,
        "address of the management port; one that others reach needs a key",
    )
    management_port: int = _setting(
        "FAIRLEAD_MANAGEMENT_PORT",
        8502,
        _port,
        "port of metrics, health, the workers' states and the console; 0 takes a free one",
    )
    models: tuple[str, ...] = _setting(
        "FAIRLEAD_MODELS", (), _names, "models to serve, by commas; each is required for readiness", "all in the store"
    )
    default_model: str | None = _setting(
        "FAIRLEAD_DEFAULT_MODEL",
        None,
        str,
        "the model that /predict means when a request names none; MODEL_NAME says so too",
        "the only one",
        usual="MODEL_NAME",
    )
    default_label: tuple[str, ...] = _setting(
        "FAIRLEAD_DEFAULT_LABEL",
        (),
        _default_label,
        "the label that is meant when a request names no version: LABEL, or MODEL=LABEL by commas; MODEL_ALIAS says so "
        "too, champion means stable",
        "stable",
        usual="MODEL_ALIAS",
    )
    model_config_file: Path | None = _setting(
        "FAIRLEAD_MODEL_CONFIG_FILE",
        None,
        Path,
        "plain models as TensorFlow Serving configures them, in place of the store; followed while it changes",
        "unset",
    )
    model_name: str = _setting(
        "FAIRLEAD_MODEL_NAME", "default", str, "the name of the model at FAIRLEAD_MODEL_BASE_PATH"
    )
    model_base_path: Path | None = _setting(
        "FAIRLEAD_MODEL_BASE_PATH", None, Path, "the versions of a single plain model, in place of the store", "unset"
    )
    model_roots: tuple[str, ...] = _setting(
        "FAIRLEAD_MODEL_ROOTS",
        (),
        _names,
        "directories, by commas, that all base paths must be in, and that links of plain versions may lead into",
        "where the base paths are that were given at the start; links stay in their version",
    )
    model_control: str = _setting(
        "FAIRLEAD_MODEL_CONTROL",
        "release",
        _one_of("release", "explicit"),
        "what decides which models are loaded: release (all of --models) or explicit (requests to load and unload, and "
        "--models before the first of them)",
    )
    version_policy: str = _setting(
        "FAIRLEAD_VERSION_POLICY",
        "latest",
        str,
        "which versions of a plain model serve: latest, latest:2, all or specific:3,7",
    )
    quiet_period_s: float = _setting(
        "FAIRLEAD_QUIET_PERIOD_S", 2.0, _seconds, "seconds without a change after which a plain version counts as whole"
    )
    poll_interval_s: float = _setting("FAIRLEAD_POLL_INTERVAL_S", 0.5, _seconds, "seconds between looks at the store")
    workers: int | None = _setting(
        "FAIRLEAD_WORKERS",
        None,
        _positive_or_auto,
        "processes that answer requests, or auto: the CPUs (by affinity and cgroup) divided by the threads",
        "auto",
    )
    threads: int | None = _setting(
        "FAIRLEAD_THREADS",
        None,
        _positive,
        "threads that run models, in each worker",
        "the CPUs divided by the workers",
    )
    max_in_flight: int = _setting(
        "FAIRLEAD_MAX_IN_FLIGHT", 1024, _positive, "requests that a worker holds at once; more are refused with 503"
    )
    max_queue_s: float = _setting(
        "FAIRLEAD_MAX_QUEUE_S", 5.0, _seconds, "seconds of work that may wait for a version; more is refused with 503"
    )
    max_batch_rows: int | None = _setting(
        "FAIRLEAD_MAX_BATCH_ROWS",
        None,
        _positive,
        "rows that run together at most; larger requests are run in parts",
        "what a version runs in about 6 ms, 8 to 256",
    )
    max_batch_delay_s: float = _setting(
        "FAIRLEAD_MAX_BATCH_DELAY_S", 0.0, _seconds, "seconds that a batch waits to be fuller; 0 never waits"
    )
    max_rows: int = _setting("FAIRLEAD_MAX_ROWS", 10_000, _positive, "rows that one request may have at most")
    max_body_bytes: int = _setting(
        "FAIRLEAD_MAX_BODY_BYTES", 64 * 2**20, _positive, "largest request body or message, also once decompressed"
    )
    max_connections: int = _setting(
        "FAIRLEAD_MAX_CONNECTIONS", 8192, _positive, "connections open at once in a process; more are refused with 503"
    )
    header_timeout_s: float = _setting(
        "FAIRLEAD_HEADER_TIMEOUT_S", 10.0, _seconds, "seconds that a client may take for a request's header"
    )
    body_timeout_s: float = _setting(
        "FAIRLEAD_BODY_TIMEOUT_S", 30.0, _seconds, "seconds that a client may take for a request's body"
    )
    drain_delay_s: float = _setting(
        "FAIRLEAD_DRAIN_DELAY_S",
        0.0,
        _seconds,
        "seconds between SIGTERM and closing the port, for load balancers to notice",
    )
    drain_timeout_s: float = _setting(
        "FAIRLEAD_DRAIN_TIMEOUT_S", 30.0, _seconds, "seconds after SIGTERM until open requests are given up"
    )
    providers: tuple[str, ...] = _setting(
        "FAIRLEAD_PROVIDERS",
        ("cpu",),
        _some_of("cpu", "cuda", "tensorrt"),
        "what ONNX models are computed on, by commas, the preferred one first: cpu, cuda, tensorrt",
        "cpu",
    )
    gpu_memory_bytes: int | None = _setting(
        "FAIRLEAD_GPU_MEMORY_BYTES",
        None,
        _positive,
        "GPU memory that CUDA's arena, and TensorRT's workspace, may take for each model in each worker",
        "no limit",
    )
    operator_libraries: tuple[str, ...] = _setting(
        "FAIRLEAD_OPERATOR_LIBRARIES",
        (),
        _names,
        "shared libraries, by commas, with operators for ONNX models; their code runs in the server",
        "ONNX Runtime's own operators alone",
    )
    file_operators: str = _setting(
        "FAIRLEAD_FILE_OPERATORS",
        "off",
        _one_of("off", "on"),
        "whether SavedModels may have operators that read and write files",
    )
    python_models: str = _setting(
        "FAIRLEAD_PYTHON_MODELS",
        "off",
        _one_of("off", "on"),
        "whether models may be Python, which is run in a process of its own for each",
    )
    python_model_interpreter: Path | None = _setting(
        "FAIRLEAD_PYTHON_MODEL_INTERPRETER",
        None,
        Path,
        "the Python that runs such models: one that has MLflow and what they require",
        "the server's own",
    )
    python_model_memory_bytes: int = _setting(
        "FAIRLEAD_PYTHON_MODEL_MEMORY_BYTES",
        2**32,
        _positive,
        "address space that the process of such a model may have",
    )
    python_model_deadline_s: float = _setting(
        "FAIRLEAD_PYTHON_MODEL_DEADLINE_S",
        10.0,
        _seconds,
        "seconds that one run of such a model may take; its process is ended then, and started anew",
    )
    trusted_keys: tuple[str, ...] = _setting(
        "FAIRLEAD_TRUSTED_KEYS",
        (),
        _names,
        "public keys in PEM, files or directories by commas, one of which must have signed a version before it serves",
        "no signature is needed",
    )
    signing_key: Path | None = _setting(
        "FAIRLEAD_SIGNING_KEY", None, Path, "a private key in PEM (EC P-256) that signs what is published", "unset"
    )
    jwks_file: Path | None = _setting(
        "FAIRLEAD_JWKS_FILE",
        None,
        Path,
        "public keys (a JWKS) of whoever signs tokens for the public ports with RS256 or ES256; JWT_SECRET_KEY is for "
        "HS256",
        "unset",
    )
    jwks_url: str | None = _setting(
        "FAIRLEAD_JWKS_URL",
        None,
        _safe_url,
        "where that issuer publishes them, in place of a file: https, or http on this machine",
        "unset",
    )
    jwks_refresh_s: float = _setting(
        "FAIRLEAD_JWKS_REFRESH_S", 300.0, _seconds, "seconds from one look at what is published to the next"
    )
    jwt_audience: str | None = _setting(
        "FAIRLEAD_JWT_AUDIENCE", None, str, "what the tokens' aud must have in it", "not looked at"
    )
    token_rate: Rate | None = _setting(
        "FAIRLEAD_TOKEN_RATE",
        None,
        Rate.parse,
        "requests that each subject of a token may ask for: 100/s, 6000/m, 10/h; 100/s:200 saves up 200",
        "any number",
    )
    token_quota: Quota | None = _setting(
        "FAIRLEAD_TOKEN_QUOTA",
        None,
        Quota.parse,
        "requests that each subject of a token may ask for in all: 1000/hour, 1000000/day, 30000000/month of UTC",
        "any number",
    )
    model_rates: tuple[str, ...] = _setting(
        "FAIRLEAD_MODEL_RATES",
        (),
        _model_rates,
        "requests that models may be asked, by commas: MODEL=RATE, and RATE for each of the others",
        "any number",
    )
    model_quotas: tuple[str, ...] = _setting(
        "FAIRLEAD_MODEL_QUOTAS",
        (),
        _model_quotas,
        "requests that models may be asked in all, by commas: MODEL=QUOTA, and QUOTA for each of the others",
        "any number",
    )
    redis_url: str | None = _setting(
        "FAIRLEAD_REDIS_URL",
        None,
        str,
        "a Redis by which the servers of several hosts share rates and quotas",
        "unset",
        is_secret=True,
    )
    open: tuple[str, ...] = _setting(
        "FAIRLEAD_OPEN",
        (),
        _some_of("predict", "feedback", "metrics"),
        "what whoever reaches a port may do without a credential, by commas: predict, feedback, metrics; never more",
        "nothing, unless only this machine reaches it and no key is known",
    )
    tls_certificate: Path | None = _setting(
        "FAIRLEAD_TLS_CERTIFICATE",
        None,
        Path,
        "certificate for the ports and those that lead to one that clients trust, in PEM; followed while it changes",
        "connections are plain",
    )
    tls_key: Path | None = _setting(
        "FAIRLEAD_TLS_KEY", None, Path, "its private key, which only its owner may read", "unset"
    )
    tls_client_ca: Path | None = _setting(
        "FAIRLEAD_TLS_CLIENT_CA", None, Path, "who signs the certificates that clients have to show", "they show none"
    )
    tls_ports: tuple[str, ...] = _setting(
        "FAIRLEAD_TLS_PORTS",
        ("rest", "grpc", "management"),
        _some_of("rest", "grpc", "management"),
        "the ports that have TLS once there is a certificate, by commas",
        "rest,grpc,management",
    )
    hsts_max_age_s: int = _setting(
        "FAIRLEAD_HSTS_MAX_AGE_S",
        0,
        _whole,
        "seconds for which browsers are to come to this host by TLS alone, as the REST port tells them; 0 says nothing",
    )
    cors_origins: tuple[str, ...] = _setting(
        "FAIRLEAD_CORS_ORIGINS",
        (),
        _origins,
        "origins whose pages may ask the REST port from a browser, by commas: https://shop.example",
        "none",
    )
    sticky_header: str = _setting(
        "FAIRLEAD_STICKY_HEADER",
        "x-sticky-key",
        _header,
        "header or gRPC metadata that names a request's key: one key stays with one version while another is tried",
    )
    traces: str | None = _setting(
        "FAIRLEAD_TRACES", None, _url, "a collector that takes traces in OTLP over HTTP: http://127.0.0.1:4318", "unset"
    )
    trace_sample: float = _setting(
        "FAIRLEAD_TRACE_SAMPLE",
        0.01,
        _share,
        "share of the requests that are traced where their traceparent leaves it open",
    )
    trace_limit: int = _setting(
        "FAIRLEAD_TRACE_LIMIT",
        100,
        _positive,
        "traces a second at most in each worker, also of those that clients want",
    )
    prediction_log: str = _setting(
        "FAIRLEAD_PREDICTION_LOG",
        "auto",
        _one_of("auto", "on", "off"),
        "whether predictions are logged; auto: where the database's libraries are installed",
    )
    log_sample: float = _setting(
        "FAIRLEAD_LOG_SAMPLE",
        1.0,
        _share,
        "share of requests whose rows are logged; counts are always exact, and all are logged while a version is tried",
    )
    log_measured_per_s: int = _setting(
        "FAIRLEAD_LOG_MEASURED_PER_S",
        1000,
        _positive,
        "rows a second of each version that each worker measures drift by; more are logged without",
    )
    log_inputs: str = _setting(
        "FAIRLEAD_LOG_INPUTS",
        "off",
        _one_of("off", "numbers"),
        "whether the log keeps inputs, to train on what was labelled: numbers, or nothing; never texts",
    )
    spool_bytes: int = _setting(
        "FAIRLEAD_SPOOL_BYTES",
        2**30,
        _positive,
        "disk for predictions that wait for the database; the oldest go first",
    )
    database_url: str | None = _setting(
        "FAIRLEAD_DATABASE_URL",
        None,
        str,
        "the database: sqlite:///PATH or postgresql+psycopg://...",
        "sqlite in HOME",
        is_secret=True,
    )
    console: str = _setting(
        "FAIRLEAD_CONSOLE",
        "auto",
        _one_of("auto", "on", "off"),
        "whether the management port has a console for people, with its own login; auto: where its libraries are "
        "installed",
    )
    try_page: str = _setting(
        "FAIRLEAD_TRY_PAGE",
        "auto",
        _one_of("auto", "on", "off"),
        "whether a browser at / of the REST port is shown a page to try the models on; auto: where FAIRLEAD_ENV is dev",
    )
    schedule: str = _setting(
        "FAIRLEAD_SCHEDULE", "0 2 * * 1", str, "when to train again, as a cron expression, or never; by the controller"
    )
    schedule_zone: str = _setting("FAIRLEAD_SCHEDULE_ZONE", "UTC", str, "the time zone of the schedule")
    rollout_plan: Path | None = _setting(
        "FAIRLEAD_ROLLOUT_PLAN", None, Path, "a JSON file: how what was trained is tried", "a canary of 1, 10 and 50 %"
    )
    train_on_labels: str = _setting(
        "FAIRLEAD_TRAIN_ON_LABELS",
        "off",
        _one_of("off", "on"),
        "whether labelled predictions whose inputs were kept join the training rows; never those that judge",
    )
    notify: tuple[str, ...] = _setting(
        "FAIRLEAD_NOTIFY",
        (),
        _names,
        "apprise URLs of whom to tell, by commas; SENDER_EMAIL and so on do as well",
        "nobody",
        is_secret=True,
    )
    backup_hours: float = _setting(
        "FAIRLEAD_BACKUP_HOURS", 24.0, _time_in("hours"), "hours between two backups by the controller; 0 makes none"
    )
    keep_backups: int = _setting("FAIRLEAD_KEEP_BACKUPS", 7, _positive, "backups that are kept")
    keep_versions: int = _setting(
        "FAIRLEAD_KEEP_VERSIONS", 10, _positive, "newest versions that are kept, besides those that serve or did before"
    )
    keep_predictions_days: int = _setting(
        "FAIRLEAD_KEEP_PREDICTIONS_DAYS", 90, _positive, "days that logged predictions are kept"
    )
    keep_inputs_days: int = _setting("FAIRLEAD_KEEP_INPUTS_DAYS", 14, _positive, "days that logged inputs are kept")
    keep_labels_days: int = _setting("FAIRLEAD_KEEP_LABELS_DAYS", 365, _positive, "days that labels are kept")
    keep_training_logs_days: int = _setting(
        "FAIRLEAD_KEEP_TRAINING_LOGS_DAYS", 90, _positive, "days that TensorBoard's logs of a training run are kept"
    )
    tensorboard_host: str = _setting(
        "FAIRLEAD_TENSORBOARD_HOST", "127.0.0.1", str, "address of TensorBoard, which asks nobody for a password"
    )
    tensorboard_port: int = _setting(
        "FAIRLEAD_TENSORBOARD_PORT", 6006, _port, "port of TensorBoard; 0 takes a free one"
    )
    log_files: str = _setting(
        "FAIRLEAD_LOG_FILES",
        "on",
        _one_of("on", "off"),
        "whether logs are kept in files under HOME/logs, beside what goes to standard error",
    )
    access_log: str = _setting(
        "FAIRLEAD_ACCESS_LOG", "on", _one_of("on", "off"), "whether HOME/logs has a line for each request"
    )
    payload_log: str = _setting(
        "FAIRLEAD_PAYLOAD_LOG",
        "off",
        _one_of("on", "off"),
        "whether HOME/logs has what was asked and answered, texts redacted; of the requests that are sampled",
    )
    log_bytes: int = _setting(
        "FAIRLEAD_LOG_BYTES", 2**30, _positive, "disk for the files of each kind of log; the oldest go first"
    )
    keep_access_logs_days: int = _setting(
        "FAIRLEAD_KEEP_ACCESS_LOGS_DAYS", 30, _positive, "days that lines of the access log are kept at most"
    )
    keep_application_logs_days: int = _setting(
        "FAIRLEAD_KEEP_APPLICATION_LOGS_DAYS",
        90,
        _positive,
        "days that lines of the application's log are kept at most",
    )
    keep_exception_logs_days: int = _setting(
        "FAIRLEAD_KEEP_EXCEPTION_LOGS_DAYS", 90, _positive, "days that lines of the exceptions' log are kept at most"
    )
    keep_payload_logs_days: int = _setting(
        "FAIRLEAD_KEEP_PAYLOAD_LOGS_DAYS", 14, _positive, "days that lines of the payloads' log are kept at most"
    )
    log_format: str = _setting(
        "FAIRLEAD_LOG_FORMAT",
        "auto",
        _one_of("auto", "json", "text"),
        "text on a terminal and json elsewhere, or one of them",
    )

    @staticmethod
    def read(environ: Mapping[str, str] = os.environ, **flags: str | None) -> Settings:
        """Settings from flags (texts, by field name; None when not given), else the environment, else defaults.

        Raises:
            FairleadError: INVALID_ARGUMENT naming the flag or variable and its value; FAILED_PRECONDITION for a file
                that cannot be read.
        """
        values: dict[str, Any] = {}
        for field in dataclasses.fields(Settings):
            given = flags.get(field.name)
            if given is not None:
                values[field.name] = _parse(field, given, _flag(field))
            elif text := _told(field, environ):
                is_ours = environ.get(field.metadata["env"]) or not environ.get(field.metadata["usual"])
                values[field.name] = _parse(field, text, field.metadata["env" if is_ours else "usual"])
        return Settings(**values)

    @property
    def bucket_url(self) -> str | None:
        """Where the model store is, if it is in a bucket."""
        return self.store if isinstance(self.store, str) else None

    @property
    def store_path(self) -> Path:
        """The model store's directory: its own, or that of this host's copy of the bucket."""
        if isinstance(self.store, str):
            return self.home / "mirrors" / hashlib.blake2b(self.store.encode(), digest_size=8).hexdigest()
        return self.store or self.home / "store"

    @property
    def registry_uri(self) -> str:
        """MLflow's tracking URI; by default SQLite in the home."""
        return self.tracking_uri or f"sqlite:///{(self.home / 'mlflow.db').absolute()}"

    @property
    def database(self) -> str:
        """The database's URL; by default SQLite in the home."""
        return self.database_url or f"sqlite:///{(self.home / 'fairlead.db').absolute()}"

    @property
    def keys_path(self) -> Path:
        return self.home / "keys.json"

    @property
    def quotas_path(self) -> Path:
        return self.home / "quotas"

    @property
    def log_path(self) -> Path:
        return self.home / "logs"

    @property
    def spool_path(self) -> Path:
        return self.home / "spool"

    @property
    def logs_predictions(self) -> bool:
        """Whether predictions are logged."""
        return self.can_log if self.prediction_log == "auto" else self.prediction_log == "on"

    @property
    def has_try_page(self) -> bool:
        """Whether the REST port shows browsers a page to try the models on."""
        return self.env == "dev" if self.try_page == "auto" else self.try_page == "on"

    @property
    def can_log(self) -> bool:
        """Whether what the log's database needs is installed."""
        return all(importlib.util.find_spec(name) for name in ("sqlalchemy", "alembic"))

    @property
    def has_console(self) -> bool:
        """Whether there is a console."""
        return self.can_console if self.console == "auto" else self.console == "on"

    @property
    def can_console(self) -> bool:
        """Whether what the console needs is installed."""
        return self.can_log and all(importlib.util.find_spec(name) for name in ("jinja2", "starlette", "uvicorn"))

    @property
    def console_path(self) -> Path:
        return self.home / "console"

    @property
    def worker_count(self) -> int:
        return self.workers or max(1, available_cpus() // (self.threads or 1))

    @property
    def thread_count(self) -> int:
        """Threads in each worker; unless both numbers were set, all workers' together are no more than the CPUs."""
        return self.threads or max(1, available_cpus() // self.worker_count)

    def texts(self) -> dict[str, str]:
        """The flags from which `read` makes the same settings; what is not set is left out."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in values.items()
            if value is not None
        }

    def secrets(self) -> dict[str, str]:
        """The environment by which a child process is told what may have passwords in it: a command line is public."""
        texts = self.texts()
        fields = [field for field in dataclasses.fields(self) if field.metadata["is_secret"]]
        return {field.metadata["env"]: texts[field.name] for field in fields if texts.get(field.name)}


def read_secret(environ: Mapping[str, str], name: str) -> str:
    """What the variable says, or the file that the one with `_FILE` behind its name names; empty when neither does.

    Raises:
        FairleadError: FAILED_PRECONDITION for a file that cannot be read.
    """
    path = environ.get(f"{name}_FILE", "")
    if environ.get(name) or not path:
        return environ.get(name, "")
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{path} cannot be read: {error}", hint=f"{name}_FILE names a file with {name}"
        ) from error


def check_flags(flags: Mapping[str, str | None]) -> None:
    """Refuse a password in a flag, by the field's name: whoever looks at the processes would see it.

    Raises:
        FairleadError: INVALID_ARGUMENT, which does not repeat it.
    """
    for field in dataclasses.fields(Settings):
        if field.metadata["is_secret"] and _PASSWORD.search(flags.get(field.name) or ""):
            name = field.metadata["env"]
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{_flag(field)} has a password in it, and a command line is seen by everybody on this machine",
                hint=f"set it as {name}, or write it to a file that {name}_FILE names",
            )


def parse_engine(text: str) -> str:
    """Where work is done: `local`, `ray` or `ray://HOST:PORT`.

    Raises:
        ValueError: for anything else.
    """
    if not re.fullmatch(r"local|ray|ray://[^/\s]+:\d+", text):
        raise ValueError("must be local, ray or ray://HOST:PORT")
    return text


def add_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add a flag for each named field of `Settings`; its value stays a text for `Settings.read`."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name in names:
        field = fields[name]
        parser.add_argument(
            _flag(field),
            metavar=name.rsplit("_", 1)[-1].upper(),
            help=_help(field).replace("%", "%%"),
        )


def _help(field: dataclasses.Field[Any]) -> str:
    return f"{field.metadata['describe']} (default: {_shown(field)}; ${field.metadata['env']})"


def markdown() -> str:
    """The settings as a Markdown table, the body of `docs/settings.md`."""
    rows = [
        f"| `{field.metadata['env']}` | {_flag_shown(field)} | {_shown(field)} | {field.metadata['describe']} |"
        for field in dataclasses.fields(Settings)
    ]
    return "\n".join(["| variable | flag | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def available_cpus() -> int:
    """How many CPUs this process may keep busy: its affinity, cut by the cgroup's quota (version 1 or 2)."""
    allowed = len(os.sched_getaffinity(0))
    quota = _cgroup_quota()
    return max(1, min(allowed, int(quota))) if quota else allowed


def available_memory_bytes() -> int:
    """What this process may use: the machine's memory, cut by the cgroup's limit (version 1 or 2)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_MEMORY:
        try:
            return min(total, int(path.read_text()))
        except (OSError, ValueError):  # not this cgroup version, or "max"
            continue
    return total


def _cgroup_quota() -> float | None:
    try:
        quota, period = _CGROUP_CPU_MAX.read_text().split()[:2]
    except (OSError, ValueError):
        try:
            quota, period = _CGROUP_V1_QUOTA.read_text(), _CGROUP_V1_PERIOD.read_text()
        except OSError:
            return None
    try:
        return float(quota) / float(period) if float(quota) > 0 else None
    except ValueError:  # "max": no limit
        return None


def _told(field: dataclasses.Field[Any], environ: Mapping[str, str]) -> str:
    name = field.metadata["env"]
    if field.metadata["is_secret"]:
        return read_secret(environ, name)
    return environ.get(name, "") or environ.get(field.metadata["usual"], "")


def _parse(field: dataclasses.Field[Any], text: str, source: str) -> Any:
    try:
        return field.metadata["parse"](text)
    except ValueError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{source} is {text!r}: {error}", hint=f"{source}: {field.metadata['describe']}"
        ) from error


def _shown(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata["shown"] or field.default)


def _flag(field: dataclasses.Field[Any]) -> str:
    return f"--{field.name.replace('_', '-')}"


def _flag_shown(field: dataclasses.Field[Any]) -> str:
    if not field.metadata["is_secret"]:
        return f"`{_flag(field)}`"
    file = f"`{field.metadata['env']}_FILE`"
    return file if field.name in _NO_FLAGS else f"`{_flag(field)}`, {file}"
