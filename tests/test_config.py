"""Settings: one definition, three sources, errors that name theirs."""

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from fairlead import config
from fairlead.config import Settings, add_flags, available_cpus, markdown
from fairlead.errors import Code, FairleadError
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

GOOD: list[tuple[str, str, str, Any]] = [
    ("home", "FAIRLEAD_HOME", "/srv/home", Path("/srv/home")),
    ("store", "FAIRLEAD_STORE", "models", Path("models")),
    ("store_cache_bytes", "FAIRLEAD_STORE_CACHE_BYTES", "1000", 1000),
    ("data_dir", "FAIRLEAD_DATA_DIR", "/data", Path("/data")),
    ("env", "FAIRLEAD_ENV", "prod", "prod"),
    ("tracking_uri", "MLFLOW_TRACKING_URI", "http://mlflow:5000", "http://mlflow:5000"),
    ("host", "FAIRLEAD_HOST", "::", "::"),
    ("rest_port", "FAIRLEAD_REST_PORT", "0", 0),
    ("grpc_port", "FAIRLEAD_GRPC_PORT", "0", 0),
    ("management_host", "FAIRLEAD_MANAGEMENT_HOST", "0.0.0.0", "0.0.0.0"),
    ("management_port", "FAIRLEAD_MANAGEMENT_PORT", "0", 0),
    ("models", "FAIRLEAD_MODELS", "digits, messages,", ("digits", "messages")),
    ("default_model", "FAIRLEAD_DEFAULT_MODEL", "digits", "digits"),
    ("default_label", "FAIRLEAD_DEFAULT_LABEL", "canary, messages=stable", ("canary", "messages=stable")),
    ("model_config_file", "FAIRLEAD_MODEL_CONFIG_FILE", "/etc/models.config", Path("/etc/models.config")),
    ("model_name", "FAIRLEAD_MODEL_NAME", "digits", "digits"),
    ("model_base_path", "FAIRLEAD_MODEL_BASE_PATH", "/models/digits", Path("/models/digits")),
    ("model_roots", "FAIRLEAD_MODEL_ROOTS", "/models,/data", ("/models", "/data")),
    ("model_control", "FAIRLEAD_MODEL_CONTROL", "explicit", "explicit"),
    ("version_policy", "FAIRLEAD_VERSION_POLICY", "latest:2", "latest:2"),
    ("quiet_period_s", "FAIRLEAD_QUIET_PERIOD_S", "0.5", 0.5),
    ("poll_interval_s", "FAIRLEAD_POLL_INTERVAL_S", "0.25", 0.25),
    ("workers", "FAIRLEAD_WORKERS", "3", 3),
    ("threads", "FAIRLEAD_THREADS", "1", 1),
    ("max_in_flight", "FAIRLEAD_MAX_IN_FLIGHT", "1", 1),
    ("max_queue_s", "FAIRLEAD_MAX_QUEUE_S", "0.5", 0.5),
    ("max_batch_rows", "FAIRLEAD_MAX_BATCH_ROWS", "1", 1),
    ("max_batch_delay_s", "FAIRLEAD_MAX_BATCH_DELAY_S", "0.002", 0.002),
    ("max_rows", "FAIRLEAD_MAX_ROWS", "1000000", 1_000_000),
    ("max_body_bytes", "FAIRLEAD_MAX_BODY_BYTES", "1024", 1024),
    ("max_connections", "FAIRLEAD_MAX_CONNECTIONS", "100", 100),
    ("header_timeout_s", "FAIRLEAD_HEADER_TIMEOUT_S", "2.5", 2.5),
    ("body_timeout_s", "FAIRLEAD_BODY_TIMEOUT_S", "60", 60.0),
    ("drain_delay_s", "FAIRLEAD_DRAIN_DELAY_S", "0", 0.0),
    ("drain_timeout_s", "FAIRLEAD_DRAIN_TIMEOUT_S", "1e1", 10.0),
    ("providers", "FAIRLEAD_PROVIDERS", "cuda, cpu", ("cuda", "cpu")),
    ("gpu_memory_bytes", "FAIRLEAD_GPU_MEMORY_BYTES", "1000000000", 1_000_000_000),
    ("operator_libraries", "FAIRLEAD_OPERATOR_LIBRARIES", "/lib/a.so", ("/lib/a.so",)),
    ("file_operators", "FAIRLEAD_FILE_OPERATORS", "on", "on"),
    ("python_models", "FAIRLEAD_PYTHON_MODELS", "on", "on"),
    ("python_model_interpreter", "FAIRLEAD_PYTHON_MODEL_INTERPRETER", "/opt/mlflow/python", Path("/opt/mlflow/python")),
    ("python_model_memory_bytes", "FAIRLEAD_PYTHON_MODEL_MEMORY_BYTES", "1000", 1000),
    ("python_model_deadline_s", "FAIRLEAD_PYTHON_MODEL_DEADLINE_S", "2.5", 2.5),
    ("trusted_keys", "FAIRLEAD_TRUSTED_KEYS", "a.pub, keys", ("a.pub", "keys")),
    ("signing_key", "FAIRLEAD_SIGNING_KEY", "models.pem", Path("models.pem")),
    ("jwks_file", "FAIRLEAD_JWKS_FILE", "jwks.json", Path("jwks.json")),
    ("jwks_url", "FAIRLEAD_JWKS_URL", "https://issuer.example/jwks.json", "https://issuer.example/jwks.json"),
    ("jwks_refresh_s", "FAIRLEAD_JWKS_REFRESH_S", "60", 60.0),
    ("jwt_audience", "FAIRLEAD_JWT_AUDIENCE", "models", "models"),
    ("token_rate", "FAIRLEAD_TOKEN_RATE", "100/s:200", Rate(count=100, unit="s", burst=200)),
    ("token_quota", "FAIRLEAD_TOKEN_QUOTA", "1000/day", Quota(count=1000, unit="day")),
    ("model_rates", "FAIRLEAD_MODEL_RATES", "digits=50/s, 6000/m", ("digits=50/s", "6000/m")),
    ("model_quotas", "FAIRLEAD_MODEL_QUOTAS", "digits=5/hour, 9/month", ("digits=5/hour", "9/month")),
    ("redis_url", "FAIRLEAD_REDIS_URL", "redis://cache:6379/0", "redis://cache:6379/0"),
    ("open", "FAIRLEAD_OPEN", "predict, metrics", ("predict", "metrics")),
    ("tls_certificate", "FAIRLEAD_TLS_CERTIFICATE", "/tls/tls.crt", Path("/tls/tls.crt")),
    ("tls_key", "FAIRLEAD_TLS_KEY", "/tls/tls.key", Path("/tls/tls.key")),
    ("tls_client_ca", "FAIRLEAD_TLS_CLIENT_CA", "/tls/ca.crt", Path("/tls/ca.crt")),
    ("tls_ports", "FAIRLEAD_TLS_PORTS", "rest,grpc", ("rest", "grpc")),
    ("hsts_max_age_s", "FAIRLEAD_HSTS_MAX_AGE_S", "600", 600),
    ("cors_origins", "FAIRLEAD_CORS_ORIGINS", "https://a.io, http://[::1]:80", ("https://a.io", "http://[::1]:80")),
    ("sticky_header", "FAIRLEAD_STICKY_HEADER", "x-user-id", "x-user-id"),
    ("traces", "FAIRLEAD_TRACES", "https://collector:4318", "https://collector:4318"),
    ("trace_sample", "FAIRLEAD_TRACE_SAMPLE", "1", 1.0),
    ("trace_limit", "FAIRLEAD_TRACE_LIMIT", "5", 5),
    ("prediction_log", "FAIRLEAD_PREDICTION_LOG", "off", "off"),
    ("log_sample", "FAIRLEAD_LOG_SAMPLE", "0.1", 0.1),
    ("log_measured_per_s", "FAIRLEAD_LOG_MEASURED_PER_S", "100", 100),
    ("log_inputs", "FAIRLEAD_LOG_INPUTS", "numbers", "numbers"),
    ("spool_bytes", "FAIRLEAD_SPOOL_BYTES", "1000000", 1_000_000),
    ("database_url", "FAIRLEAD_DATABASE_URL", "postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
    ("console", "FAIRLEAD_CONSOLE", "off", "off"),
    ("try_page", "FAIRLEAD_TRY_PAGE", "off", "off"),
    ("schedule", "FAIRLEAD_SCHEDULE", "never", "never"),
    ("schedule_zone", "FAIRLEAD_SCHEDULE_ZONE", "Europe/Berlin", "Europe/Berlin"),
    ("rollout_plan", "FAIRLEAD_ROLLOUT_PLAN", "plan.json", Path("plan.json")),
    ("train_on_labels", "FAIRLEAD_TRAIN_ON_LABELS", "on", "on"),
    ("notify", "FAIRLEAD_NOTIFY", "json://host/a,slack://x", ("json://host/a", "slack://x")),
    ("backup_hours", "FAIRLEAD_BACKUP_HOURS", "0.5", 0.5),
    ("keep_backups", "FAIRLEAD_KEEP_BACKUPS", "3", 3),
    ("keep_versions", "FAIRLEAD_KEEP_VERSIONS", "2", 2),
    ("keep_predictions_days", "FAIRLEAD_KEEP_PREDICTIONS_DAYS", "30", 30),
    ("keep_inputs_days", "FAIRLEAD_KEEP_INPUTS_DAYS", "7", 7),
    ("keep_labels_days", "FAIRLEAD_KEEP_LABELS_DAYS", "90", 90),
    ("keep_training_logs_days", "FAIRLEAD_KEEP_TRAINING_LOGS_DAYS", "30", 30),
    ("tensorboard_host", "FAIRLEAD_TENSORBOARD_HOST", "::", "::"),
    ("tensorboard_port", "FAIRLEAD_TENSORBOARD_PORT", "0", 0),
    ("log_files", "FAIRLEAD_LOG_FILES", "off", "off"),
    ("access_log", "FAIRLEAD_ACCESS_LOG", "off", "off"),
    ("payload_log", "FAIRLEAD_PAYLOAD_LOG", "on", "on"),
    ("log_bytes", "FAIRLEAD_LOG_BYTES", "1000000", 1_000_000),
    ("keep_access_logs_days", "FAIRLEAD_KEEP_ACCESS_LOGS_DAYS", "7", 7),
    ("keep_application_logs_days", "FAIRLEAD_KEEP_APPLICATION_LOGS_DAYS", "7", 7),
    ("keep_exception_logs_days", "FAIRLEAD_KEEP_EXCEPTION_LOGS_DAYS", "7", 7),
    ("keep_payload_logs_days", "FAIRLEAD_KEEP_PAYLOAD_LOGS_DAYS", "1", 1),
    ("log_format", "FAIRLEAD_LOG_FORMAT", "text", "text"),
]

NO_SAFE_URL = "must be a URL of https, or of http on this machine, without a password"
BAD = [
    ("store_cache_bytes", "FAIRLEAD_STORE_CACHE_BYTES", "0", "must be at least 1"),
    ("env", "FAIRLEAD_ENV", "production", "must be one of dev, staging, prod"),
    (
        "token_rate",
        "FAIRLEAD_TOKEN_RATE",
        "0/s",
        "must be a rate, from 1 to 1000000 requests: 100/s, 6000/m, 10/h or 100/s:200",
    ),
    (
        "model_rates",
        "FAIRLEAD_MODEL_RATES",
        "a=1/s,a=2/s",
        "'a=2/s': must be MODEL=RATE, each model once, or RATE for all others",
    ),
    (
        "token_quota",
        "FAIRLEAD_TOKEN_QUOTA",
        "5/week",
        "must be a quota, from 1 to 1000000000000 requests: 1000/hour, 1000000/day or 30000000/month",
    ),
    (
        "model_quotas",
        "FAIRLEAD_MODEL_QUOTAS",
        "a=1/day,a=2/day",
        "'a=2/day': must be MODEL=QUOTA, each model once, or QUOTA for all others",
    ),
    ("env", "FAIRLEAD_ENV", "DEV", "must be one of dev, staging, prod"),
    ("log_format", "FAIRLEAD_LOG_FORMAT", "xml", "must be one of auto, json, text"),
    ("rest_port", "FAIRLEAD_REST_PORT", "65536", "must be between 0 and 65535"),
    ("rest_port", "FAIRLEAD_REST_PORT", "-1", "must be between 0 and 65535"),
    ("rest_port", "FAIRLEAD_REST_PORT", "http", "invalid literal for int() with base 10: 'http'"),
    ("rest_port", "FAIRLEAD_REST_PORT", "8501.0", "invalid literal for int() with base 10: '8501.0'"),
    ("grpc_port", "FAIRLEAD_GRPC_PORT", "70000", "must be between 0 and 65535"),
    ("workers", "FAIRLEAD_WORKERS", "0", "must be at least 1"),
    ("workers", "FAIRLEAD_WORKERS", "all", "invalid literal for int() with base 10: 'all'"),
    ("threads", "FAIRLEAD_THREADS", "0", "must be at least 1"),
    ("threads", "FAIRLEAD_THREADS", "auto", "invalid literal for int() with base 10: 'auto'"),
    ("max_in_flight", "FAIRLEAD_MAX_IN_FLIGHT", "-5", "must be at least 1"),
    ("max_batch_rows", "FAIRLEAD_MAX_BATCH_ROWS", "0", "must be at least 1"),
    ("max_body_bytes", "FAIRLEAD_MAX_BODY_BYTES", "64MB", "invalid literal for int() with base 10: '64MB'"),
    ("poll_interval_s", "FAIRLEAD_POLL_INTERVAL_S", "-0.1", "must be a number of seconds, 0 or more"),
    ("poll_interval_s", "FAIRLEAD_POLL_INTERVAL_S", "nan", "must be a number of seconds, 0 or more"),
    ("traces", "FAIRLEAD_TRACES", "collector:4318", "must be a URL of http or https"),
    ("log_sample", "FAIRLEAD_LOG_SAMPLE", "1.5", "must be a share, from 0 to 1"),
    (
        "jwks_url",
        "FAIRLEAD_JWKS_URL",
        "http://issuer.example/jwks.json",
        "must be a URL of https, or of http on this machine, without a password",
    ),
    (
        "jwks_url",
        "FAIRLEAD_JWKS_URL",
        "http://127.0.0.1.example/",
        "must be a URL of https, or of http on this machine, without a password",
    ),
    (
        "jwks_url",
        "FAIRLEAD_JWKS_URL",
        "http://localhost@issuer.example/",
        "must be a URL of https, or of http on this machine, without a password",
    ),
    (
        "jwks_url",
        "FAIRLEAD_JWKS_URL",
        "file:///etc/passwd",
        "must be a URL of https, or of http on this machine, without a password",
    ),
    ("sticky_header", "FAIRLEAD_STICKY_HEADER", "x key", "must be the name of a header"),
    ("backup_hours", "FAIRLEAD_BACKUP_HOURS", "-1", "must be a number of hours, 0 or more"),
    ("drain_delay_s", "FAIRLEAD_DRAIN_DELAY_S", "inf", "must be a number of seconds, 0 or more"),
    ("drain_timeout_s", "FAIRLEAD_DRAIN_TIMEOUT_S", "30s", "could not convert string to float: '30s'"),
]


def test_every_setting_is_in_the_table_above() -> None:
    """A new setting needs a line in these tests, with its environment variable."""
    fields = [(field.name, field.metadata["env"]) for field in dataclasses.fields(Settings)]

    assert fields == [(name, env) for name, env, _, _ in GOOD]


def test_variables_that_containers_have_anyway_count_where_ours_are_not_set() -> None:
    """MODEL_NAME and MODEL_ALIAS say what is meant by default."""
    usual = {"MODEL_NAME": "messages", "MODEL_ALIAS": "champion"}

    settings = Settings.read({**usual, "FAIRLEAD_DEFAULT_LABEL": "canary"})

    assert (settings.default_model, settings.default_label) == ("messages", ("canary",))
    assert Settings.read(usual).default_label == ("champion",)
    assert Settings.read(usual, default_model="digits").default_model == "digits"


@pytest.mark.parametrize(("name", "env", "text", "value"), GOOD)
def test_a_flag_goes_before_the_environment_and_that_before_the_default(
    name: str, env: str, text: str, value: object
) -> None:
    """A bad text in a place that is overruled is not even read."""
    default = getattr(Settings(), name)

    assert default != value or name == "drain_delay_s"
    assert getattr(Settings.read({}), name) == default
    assert getattr(Settings.read({env: text}), name) == value
    assert getattr(Settings.read({env: "\0 overruled"}, **{name: text}), name) == value
    assert getattr(Settings.read({env: text}, **{name: None}), name) == value


@pytest.mark.parametrize(("name", "env", "text", "reason"), BAD)
def test_a_bad_value_is_named_with_its_source(name: str, env: str, text: str, reason: str) -> None:
    """The flag when the flag was wrong, the variable when that was; and the hint says what it means."""
    flag = "--" + name.replace("_", "-")
    for source, environ, flags in ((env, {env: text}, {}), (flag, {}, {name: text})):
        with pytest.raises(FairleadError) as caught:
            Settings.read(environ, **flags)

        assert caught.value.code is Code.INVALID_ARGUMENT
        assert caught.value.message == f"{source} is {text!r}: {reason}"
        assert caught.value.hint.startswith(f"{source}: ")


def test_an_empty_variable_is_no_variable() -> None:
    """Compose files and shells set variables to nothing when they mean none."""
    assert Settings.read({env: "" for _, env, _, _ in GOOD}) == Settings()


def test_paths_follow_the_home() -> None:
    """The store and the registry are in the home unless they are named."""
    moved = Settings(home=Path("/srv/fairlead"))

    assert moved.store_path == Path("/srv/fairlead/store")
    assert moved.registry_uri == "sqlite:////srv/fairlead/mlflow.db"
    assert Settings(store=Path("/models")).store_path == Path("/models")
    assert Settings(tracking_uri="http://mlflow:5000").registry_uri == "http://mlflow:5000"


def test_a_command_takes_the_flags_it_names() -> None:
    """They stay texts, None when not given, and `--help` tells default and variable."""
    parser = argparse.ArgumentParser(prog="p")
    add_flags(parser, "rest_port", "store")

    assert vars(parser.parse_args(["--rest-port", "x"])) == {"rest_port": "x", "store": None}
    shown = " ".join(parser.format_help().split())
    assert (
        "--rest-port PORT port of the REST protocols; 0 takes a free one (default: 8501; $FAIRLEAD_REST_PORT)" in shown
    )
    assert "--store STORE the model store: a directory, or a bucket as s3://BUCKET/FOLDER" in shown


def test_the_reference_page_is_the_code() -> None:
    """`docs/settings.md` ends with the table that the fields make."""
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()

    assert page.endswith(markdown())
    assert "| `FAIRLEAD_REST_PORT` | `--rest-port` | 8501 | port of the REST protocols; 0 takes a free one |" in page


def test_there_is_always_a_cpu() -> None:
    """On this machine, whatever it is."""
    assert available_cpus() >= 1


@pytest.mark.parametrize(
    ("workers", "threads", "counts"),
    [
        (None, None, (6, 1)),
        (2, None, (2, 3)),
        (4, None, (4, 1)),
        (8, None, (8, 1)),
        (None, 2, (3, 2)),
        (None, 8, (1, 8)),
        (5, 5, (5, 5)),
    ],
)
def test_workers_and_threads_share_the_cpus(
    monkeypatch: pytest.MonkeyPatch, workers: int | None, threads: int | None, counts: tuple[int, int]
) -> None:
    """What is not set is chosen so that there are no more threads than CPUs."""
    monkeypatch.setattr(config, "available_cpus", lambda: 6)
    settings = Settings(workers=workers, threads=threads)

    assert (settings.worker_count, settings.thread_count) == counts


def test_auto_is_a_number_of_workers() -> None:
    """It takes back what the environment says."""
    assert Settings.read({"FAIRLEAD_WORKERS": "3"}, workers="auto").workers is None


@pytest.mark.parametrize(("name", "env", "text", "value"), GOOD)
def test_settings_come_back_from_their_texts(name: str, env: str, text: str, value: object) -> None:
    """What one process was told another can be told in words."""
    settings = Settings.read({env: text})

    assert Settings.read({}, **settings.texts()) == settings
    assert Settings.read({}, **Settings().texts()) == Settings()


@pytest.mark.parametrize(
    ("cpu_max", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("3200000 100000\n", 8),
        ("junk\n", 8),
        ("one two\n", 8),
        ("", 8),
    ],
)
def test_the_quota_of_cgroup_version_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_max: str, cpus: int
) -> None:
    """Whole CPUs of it, at least one and at most what the affinity allows; "max" is no quota."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(config, "_CGROUP_CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(config, "_CGROUP_V1_QUOTA", tmp_path / "nosuch")
    (tmp_path / "cpu.max").write_text(cpu_max)

    assert available_cpus() == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", 8), ("300000\n", 3), ("50000\n", 1), ("junk\n", 8)])
def test_the_quota_of_cgroup_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int) -> None:
    """It is in two files, and -1 is no quota."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(config, "_CGROUP_CPU_MAX", tmp_path / "nosuch")
    monkeypatch.setattr(config, "_CGROUP_V1_QUOTA", tmp_path / "quota")
    monkeypatch.setattr(config, "_CGROUP_V1_PERIOD", tmp_path / "period")
    (tmp_path / "quota").write_text(quota)
    (tmp_path / "period").write_text("100000\n")

    assert available_cpus() == cpus


def test_without_a_cgroup_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a container there is no quota."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 3, 5})
    for name in ("_CGROUP_CPU_MAX", "_CGROUP_V1_QUOTA", "_CGROUP_V1_PERIOD"):
        monkeypatch.setattr(config, name, tmp_path / "nosuch")

    assert available_cpus() == 3


@pytest.mark.parametrize(
    ("env", "try_page", "is_shown"),
    [
        ("dev", "auto", True),
        ("staging", "auto", False),
        ("prod", "auto", False),
        ("prod", "on", True),
        ("dev", "off", False),
    ],
)
def test_where_models_can_be_tried_in_a_browser(env: str, try_page: str, is_shown: bool) -> None:
    """In development, unless it is said otherwise."""
    assert Settings(env=env, try_page=try_page).has_try_page == is_shown


def test_a_store_is_a_directory_or_a_bucket() -> None:
    """A bucket is seen as one directory by whoever reads it, the same for the same URL and home."""
    bucket = Settings.read({"FAIRLEAD_STORE": "s3://models/prod/", "FAIRLEAD_HOME": "/srv"})
    assert bucket.bucket_url == "s3://models/prod"
    assert bucket.store_path.parent == Path("/srv/mirrors")
    assert Settings.read({}, **bucket.texts()).store_path == bucket.store_path
    assert Settings.read({"FAIRLEAD_STORE": "s3://models/dev", "FAIRLEAD_HOME": "/srv"}).store_path != bucket.store_path
    assert Settings.read({"FAIRLEAD_STORE": "models"}).bucket_url is None


@pytest.mark.parametrize(("limit", "memory"), [("268435456\n", 268435456), ("max\n", None), (str(2**62), None)])
def test_the_cgroups_limit_is_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, memory: int | None
) -> None:
    """A container has less than its machine; without a limit it has all of it."""
    (tmp_path / "memory").write_text(limit)
    monkeypatch.setattr(config, "_CGROUP_MEMORY", (tmp_path / "nosuch", tmp_path / "memory"))

    assert config.available_memory_bytes() == (memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
