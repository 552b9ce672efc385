"""Each trouble is found before it breaks a deployment, told with its figures, and comes with the next command."""

import http.server
import json
import os
import platform
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.attacks.artifacts.keys import make_keys
from tests.certificates import Authority

from fairlead.app.doctor import install, machine
from fairlead.app.doctor.examination import examine
from fairlead.app.doctor.finding import Finding, Health
from fairlead.app.releases import open_writable_store
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Cost, Manifest
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE, publish_digit

MIB = 2**20


class DiskUsage(NamedTuple):
    """What `shutil.disk_usage` tells."""

    total: int
    used: int
    free: int


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own, and any free port."""
    return Settings(home=tmp_path / "home", rest_port=0, grpc_port=0, management_port=0)


@pytest.fixture
def published(settings: Settings) -> WritableStore:
    """The model digits with two versions, the first released."""
    store = open_writable_store(settings)
    publish_digit(store, "digits", 1)
    publish_digit(store, "digits", 2)
    store.promote(ServableId("digits", 1), why="")
    return store


def look(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> Finding:
    """The one finding of that name, out of all of them."""
    (found,) = [finding for finding in examine(settings, environ or {}) if finding.name == name]
    return found


@contextmanager
def listening(answer: bytes | None = None) -> Iterator[int]:
    """A socket that listens, and says `answer` to the first who calls; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def say() -> None:
            caller, _ = server.accept()
            with caller:
                caller.sendall(answer or b"")

        speaker = threading.Thread(target=say)
        if answer is not None:
            speaker.start()
        yield server.getsockname()[1]
        if answer is not None:
            speaker.join()


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[int]:
    """An HTTP server that gives `body` for `/alive`; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/alive" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


# -- the whole ------------------------------------------------------------------------------------------------------


def test_a_good_deployment_is_all_well(settings: Settings, published: WritableStore) -> None:
    """Nothing to do, in the order of a start; a hint comes only with trouble."""
    findings = list(examine(settings, {}))
    names = [finding.name for finding in findings]

    assert {finding.name: finding.message for finding in findings if finding.health is Health.FAILED} == {}
    assert names[:3] == ["architecture", "request path", "packages"]
    assert names[-12:] == [
        "port 0",
        "port 0",
        "port 0",
        "access",
        "management access",
        "PORT",
        "store",
        "digits@1",
        "digits@2",
        "memory",
        "clock",
        "disk",
    ]
    assert all(bool(finding.hint) == (finding.health is not Health.OK) for finding in findings)


def test_an_empty_home_is_all_well(settings: Settings) -> None:
    """Before the first model nothing is there, and that is no fault; looking makes nothing either."""
    assert [f.name for f in examine(settings, {}) if f.health is Health.FAILED] == []
    assert look(settings, "store").message.endswith("not there yet, the first publish makes it, writable")
    assert not settings.home.exists()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_command_fails_when_something_would_break(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    """Exit status 1 and the next command, as lines or as JSON; 0 once it is mended."""
    with listening() as port:
        arguments = ["doctor", "--home", str(tmp_path), "--grpc-port", "0", "--management-port", "0"]
        arguments += ["--rest-port", str(port), *form]
        assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert f"take another: --rest-port {port + 1}" in printed
    if form:
        assert {"name", "health", "message", "hint"} == set(json.loads(printed)[0])
    else:
        assert f"FAIL  port {port}: " in printed

    assert main(arguments) == 0


# -- the machine and the install ------------------------------------------------------------------------------------


def elf(path: Path, machine: int) -> Path:
    """A file that begins like a library for that machine."""
    path.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HH", 3, machine))
    return path


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_a_library_for_this_machine_is_well(tmp_path: Path, machine: str, number: int) -> None:
    """Its ELF header says so."""
    finding = install.architecture(machine, elf(tmp_path / "ort.so", number))

    assert (finding.health, finding.message) == (Health.OK, f"{machine}, and so is ONNX Runtime")


@pytest.mark.parametrize(
    ("machine", "number", "found"),
    [("x86_64", 183, "aarch64"), ("aarch64", 62, "x86_64"), ("x86_64", 243, "ELF machine 243")],
)
def test_a_library_for_another_machine_is_found(tmp_path: Path, machine: str, number: int, found: str) -> None:
    """An image built on a laptop of another kind."""
    finding = install.architecture(machine, elf(tmp_path / "ort.so", number))

    assert finding.health is Health.FAILED
    assert finding.message == f"ort.so is built for {found} and this machine is {machine}"
    assert finding.hint.startswith("pip install --force-reinstall onnxruntime")


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00", b"\x7fELF\x02\x01\x01", b"\xcf\xfa\xed\xfe" + b"\0" * 30])
def test_a_library_of_another_system_is_found(tmp_path: Path, content: bytes) -> None:
    """Windows', Apple's and torn ones."""
    (tmp_path / "ort.so").write_bytes(content)
    finding = install.architecture("x86_64", tmp_path / "ort.so")

    assert finding.health is Health.FAILED
    assert "built for another system" in finding.message


def test_a_machine_without_onnx_runtime_is_found() -> None:
    """No library is published for it."""
    finding = install.architecture("riscv64", None)

    assert finding.health is Health.FAILED
    assert finding.message == "this is a riscv64 machine; ONNX Runtime is published for x86_64 and aarch64"


def test_this_machines_library_is_read() -> None:
    """The tests run where ONNX Runtime does."""
    binary = install.onnxruntime_binary()

    assert binary is not None
    assert install._elf_machine(binary) == platform.machine()


def test_the_doctor_says_whether_the_request_path_is_compiled() -> None:
    """By the file that is imported; the standard library has both kinds."""
    assert install.request_path("json.decoder").message.startswith("interpreted, at half the speed")
    assert install.request_path("numpy._core._multiarray_umath").message == "compiled"


REQUIREMENTS = [
    "numpy>=2.1",
    "pillow>=11.3",
    "windows-only>=1; sys_platform == 'win32'",
    "mlflow-skinny==3.17.2; extra == 'train'",
    "sqlalchemy>=2.0; extra == 'train'",
    "scikit-learn>=1.7; extra == 'sklearn'",
    "fairlead[train,sklearn]; extra == 'all'",
]


def packages(**installed: str) -> dict[str, Finding]:
    """What is found with these packages installed."""
    found = {name.replace("_", "-"): version for name, version in installed.items()}
    return {finding.name: finding for finding in install.packages(REQUIREMENTS, found.get)}


def test_a_whole_install_is_well() -> None:
    """An extra that is not there is fine, and how to get it is told."""
    findings = packages(numpy="2.1", pillow="12.0.0rc1")

    assert {name: finding.health for name, finding in findings.items()} == {
        "packages": Health.OK,
        "extra sklearn": Health.OK,
        "extra train": Health.OK,
    }
    assert findings["packages"].message == "2 packages, all present and new enough"
    assert findings["extra train"].message == (
        "not installed; when you need it: pip install --upgrade 'fairlead[train]'"
    )


def test_missing_and_older_packages_of_the_base_fail() -> None:
    """All of them are told at once."""
    found = packages(numpy="1.26.4")["packages"]

    assert found.health is Health.FAILED
    assert found.message == "numpy is 1.26.4, >=2.1 is needed; pillow is missing, >=11.3 is needed"
    assert found.hint == "pip install --upgrade fairlead"


def test_half_an_extra_is_a_warning() -> None:
    """It would fail at its first use, and serving does not need it."""
    findings = packages(numpy="2.2", pillow="11.3", mlflow_skinny="3.18.0")

    assert findings["extra train"].health is Health.WARNING
    assert findings["extra train"].message == (
        "mlflow-skinny is 3.18.0, ==3.17.2 is needed; sqlalchemy is missing, >=2.0 is needed"
    )
    assert findings["extra train"].hint == "pip install --upgrade 'fairlead[train]'"


# -- the port -------------------------------------------------------------------------------------------------------


def test_a_free_port_is_free(settings: Settings) -> None:
    """Looking does not take it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for _ in range(2):
        finding = look(replace(settings, rest_port=port), f"port {port}")
        assert (finding.health, finding.message) == (Health.OK, f"127.0.0.1:{port} is free")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"-ERR unknown command 'GET'\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 abc\r\n\r\n",
    ],
)
def test_a_port_that_another_process_has_is_found(settings: Settings, answer: bytes) -> None:
    """Whatever it speaks, it is no Fairlead server, and the finding is no traceback."""
    with listening(answer) as port:
        finding = look(replace(settings, rest_port=port), f"port {port}")

    assert finding.health is Health.FAILED
    assert finding.message == f"127.0.0.1:{port} cannot be had: Address already in use; another process answers there"
    assert finding.hint == f"ss -ltnp 'sport = :{port}' shows whose it is, or take another: --rest-port {port + 1}"


def test_every_port_is_looked_at(settings: Settings) -> None:
    """The hint takes another for the one that is taken."""
    with listening(b"") as port:
        for name in ("rest", "grpc", "management"):
            finding = look(replace(settings, **{f"{name}_port": port}), f"port {port}")  # type: ignore[arg-type] # a port
            assert finding.hint.endswith(f"take another: --{name}-port {port + 1}")


def test_a_port_whose_owner_says_nothing_is_found(settings: Settings) -> None:
    """Nobody waits long for it."""
    with listening() as port:
        finding = look(replace(settings, rest_port=port), f"port {port}")

    assert "another process answers there" in finding.message


def test_a_fairlead_server_is_known_by_its_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked directly, even where the environment names a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(b'{"status": "alive"}') as port:
        finding = look(replace(settings, rest_port=port), f"port {port}")

    assert finding.health is Health.FAILED
    assert "a Fairlead server answers there" in finding.message


def test_another_web_server_is_not_taken_for_one(settings: Settings) -> None:
    """A page that only says it does not know `/alive` is not alive."""
    with answering(b"/alive not found", status=404) as port:
        finding = look(replace(settings, rest_port=port), f"port {port}")

    assert "another process answers there" in finding.message


@pytest.mark.parametrize("host", ["no such host", "a" * 70 + ".example", "192.0.2.1", "a..b", "256.0.0.1"])
def test_an_address_that_is_not_this_machines_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A name that does not resolve and an address of elsewhere are findings, and nobody is said to answer there."""
    real = socket.getaddrinfo

    def offline(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "192.0.2.1":
            return real(name, *arguments, **options)
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    finding = look(replace(settings, host=host, rest_port=8501), "port 8501")

    assert finding.health is Health.FAILED
    assert finding.message.startswith(f"{host}:8501 cannot be had: ")
    assert "answers there" not in finding.message
    assert "--host 127.0.0.1" in finding.hint


@pytest.mark.parametrize("environ", [{}, {"PORT": "0"}])
def test_the_platforms_port_is_the_servers(settings: Settings, environ: dict[str, str]) -> None:
    """Or the platform names none."""
    assert look(settings, "PORT", environ).health is Health.OK


@pytest.mark.parametrize("wanted", ["8080", ""])
def test_a_platform_that_routes_elsewhere_is_found(settings: Settings, wanted: str) -> None:
    """It would find nobody there."""
    finding = look(settings, "PORT", {"PORT": wanted})

    assert finding.health is Health.WARNING
    assert finding.message == f"the platform sets PORT={wanted} but the REST port is 0"
    assert finding.hint == f"fairlead serve --host 0.0.0.0 --rest-port {wanted}"


# -- the store and its models ---------------------------------------------------------------------------------------


def test_a_store_with_models_is_well(settings: Settings, published: WritableStore) -> None:
    """It tells where and how many."""
    assert look(settings, "store").message == f"{published.root}: 1 models, writable"


def test_a_store_that_can_be_made_nowhere_is_found(settings: Settings, tmp_path: Path) -> None:
    """A file stands where its directory would be."""
    (tmp_path / "file").write_text("x")
    finding = look(replace(settings, store=tmp_path / "file" / "store"), "store")

    assert finding.health is Health.WARNING
    assert f"{tmp_path / 'file'} cannot be written (Not a directory)" in finding.message


def test_a_store_that_is_a_file_is_found(settings: Settings, tmp_path: Path) -> None:
    """Nothing could be served from it."""
    (tmp_path / "file").write_text("x")
    finding = look(replace(settings, store=tmp_path / "file"), "store")

    assert finding.health is Health.FAILED
    assert finding.message == f"the model store {tmp_path / 'file'} is not a directory"


def test_a_directory_of_something_else_is_found(settings: Settings, tmp_path: Path) -> None:
    """A typing error in a mount is the usual reason."""
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    finding = look(replace(settings, store=tmp_path / "photos"), "store")

    assert finding.health is Health.FAILED
    assert "it holds summer" in finding.message
    assert finding.hint == "name a directory whose folders are models: --store DIR"


@pytest.mark.skipif(os.getuid() == 0, reason="root writes anywhere")
def test_a_store_without_write_access_is_a_warning(settings: Settings, published: WritableStore) -> None:
    """It serves, and nothing can be published into it."""
    published.root.chmod(0o555)
    try:
        finding = look(settings, "store")
    finally:
        published.root.chmod(0o755)

    assert finding.health is Health.WARNING
    assert "it can be served from but not published into" in finding.message
    assert finding.hint.startswith(f"chown -R {os.getuid()} ")


def test_whole_versions_are_well(settings: Settings, published: WritableStore) -> None:
    """Released or not, every byte was read."""
    assert look(settings, "digits@1").message == "2 files, every byte as published and released"
    assert look(settings, "digits@2").message == "2 files, every byte as published"


@pytest.mark.parametrize(
    ("version", "health", "hint"),
    [(1, Health.FAILED, "fairlead rollback digits"), (2, Health.WARNING, "remove it: rm -r {root}/digits/2")],
)
def test_a_changed_byte_is_found(
    settings: Settings, published: WritableStore, version: int, health: Health, hint: str
) -> None:
    """In the released version it breaks serving; in another it only lies there."""
    path = published.root / "digits" / str(version) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    finding = look(settings, f"digits@{version}")

    assert finding.health is health
    assert "has the SHA-256" in finding.message
    assert finding.hint == hint.format(root=published.root)


@pytest.mark.parametrize("content", [b"", b"{}", b"\0\0\0"])
def test_a_damaged_manifest_is_found(settings: Settings, published: WritableStore, content: bytes) -> None:
    """All the other things are looked at all the same."""
    (published.root / "digits" / "1" / "manifest.json").write_bytes(content)

    assert look(settings, "digits@1").health is Health.FAILED
    assert look(settings, "digits@2").health is Health.OK
    assert look(settings, "memory").message.startswith("212 MiB needed for 2 workers, 0 models")


def test_a_released_version_that_is_gone_is_found(settings: Settings, published: WritableStore) -> None:
    """Somebody cleaned up too much."""
    shutil.rmtree(published.root / "digits" / "1")
    finding = look(settings, "digits@1")

    assert finding.health is Health.FAILED
    assert finding.hint == "fairlead rollback digits"


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"[]", b'{"schema_version": 9}'])
def test_a_damaged_release_is_found(settings: Settings, published: WritableStore, content: bytes) -> None:
    """A rollback makes a new one from the history."""
    (published.root / "digits" / "release.json").write_bytes(content)
    finding = look(settings, "digits")

    assert finding.health is Health.FAILED
    assert "release.json" in finding.message
    assert finding.hint == "fairlead rollback digits"


# -- memory, clock, disk --------------------------------------------------------------------------------------------


def manifest(model: str = "m", version: int = 1, memory: int | None = None) -> Manifest:
    """A manifest with a measured cost, made at noon of the first day of 2026."""
    return Manifest(
        model=model,
        version=version,
        runtime="onnx",
        signature=DIGIT_SIGNATURE,
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        cost=None if memory is None else Cost(peak_memory_bytes=memory, ms_per_row=1),
    )


@pytest.mark.parametrize(
    ("manifests", "figures"),
    [
        ([], "212 MiB needed for 2 workers, 0 models and a swap, 1024 MiB there"),
        ([manifest()], "212 MiB needed for 2 workers, 0 models and a swap, 1024 MiB there"),
        ([manifest(memory=50 * MIB)], "412 MiB needed for 2 workers, 1 models and a swap, 1024 MiB there"),
        (
            [manifest(version=2, memory=50 * MIB), manifest(version=1, memory=400 * MIB)],
            "412 MiB needed for 2 workers, 1 models and a swap, 1024 MiB there",
        ),
        (
            [manifest("a", memory=50 * MIB), manifest("b", memory=100 * MIB)],
            "712 MiB needed for 2 workers, 2 models and a swap, 1024 MiB there",
        ),
    ],
)
def test_memory_for_the_newest_of_each_model_and_a_swap(manifests: list[Manifest], figures: str) -> None:
    """The largest counts twice: a swap loads the new version beside the old."""
    finding = machine.memory(manifests, 2, 1024 * MIB)

    assert (finding.health, finding.message) == (Health.OK, figures)


@pytest.mark.parametrize(("available", "health"), [(222 * MIB, Health.OK), (222 * MIB - 1, Health.FAILED)])
def test_too_little_memory_is_found(available: int, health: Health) -> None:
    """To the byte: below it, a swap would be killed."""
    finding = machine.memory([manifest(memory=50 * MIB)], 1, available)

    assert finding.health is health
    assert finding.hint in (
        "",
        "give the process more memory, or serve with fewer workers (--workers 1) or models (--models NAME)",
    )


def stopped(at: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: at


def test_a_clock_behind_a_version_is_found(store: WritableStore) -> None:
    """A version cannot have been made tomorrow."""
    finding = machine.clock(store, [manifest()], datetime(2025, 12, 31, 12, tzinfo=UTC))

    assert finding.health is Health.FAILED
    assert finding.message == "the clock is 86400 s behind the newest version or release in the store"
    assert finding.hint == "timedatectl set-ntp true"


def test_a_clock_behind_a_release_is_found(settings: Settings, published: WritableStore) -> None:
    """The history counts as well as the versions."""
    ahead = WritableStore(published.root, now=stopped(datetime.now(UTC) + timedelta(hours=1)), who="tester")
    ahead.promote(ServableId("digits", 2), why="")

    assert look(settings, "clock").health is Health.FAILED


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_second_is_no_trouble(store: WritableStore, seconds: int) -> None:
    """Two machines never agree to the millisecond."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC) - timedelta(seconds=seconds)

    assert machine.clock(store, [manifest()], now).health is Health.OK


def test_a_manifest_without_a_time_zone_does_not_stop_the_doctor(settings: Settings, published: WritableStore) -> None:
    """It is a damaged version, told as such."""
    path = published.root / "digits" / "2" / "manifest.json"
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps(body | {"created_at": "2026-01-01T00:00:00"}))

    assert "has no time zone" in look(settings, "digits@2").message
    assert look(settings, "clock").health is Health.OK


@pytest.mark.parametrize(
    ("free", "health"),
    [
        (1024 * MIB, Health.OK),
        (1024 * MIB - 1, Health.WARNING),
        (200 * MIB, Health.WARNING),
        (200 * MIB - 1, Health.FAILED),
        (0, Health.FAILED),
    ],
)
def test_a_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, health: Health) -> None:
    """Below a gigabyte it is time to look; below 200 MiB the next publish may fail."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: DiskUsage(10**12, 10**12 - free, free))
    finding = look(settings, "disk")

    assert finding.health is health
    assert finding.message.startswith(f"{free // MIB:,} MiB free at ")
    assert finding.hint == ("" if health is Health.OK else f"du -sh {settings.store_path}/*/* | sort -h")


def test_a_port_that_would_be_open_to_others_is_found(settings: Settings) -> None:
    """As the server would refuse it; a key that is known is not shown."""
    assert look(settings, "access").health is look(settings, "management access").health is Health.OK
    reached = replace(settings, host="0.0.0.0", management_host="0.0.0.0")
    for name in ("access", "management access"):
        finding = look(reached, name)
        assert (finding.health, "fairlead keys create" in finding.hint) == (Health.FAILED, True)
        finding = look(reached, name, {"API_KEY": "planted-planted-planted"})
        assert (finding.health, finding.message) == (Health.OK, "0.0.0.0: credentials are asked for")


def test_keys_for_signatures_are_looked_at(settings: Settings, published: WritableStore, tmp_path: Path) -> None:
    """And with them whether what serves is signed."""
    assert not {finding.name for finding in examine(settings, {})} & {"signing key", "trusted keys"}
    private, public = make_keys(tmp_path, "ours")
    asked = replace(settings, signing_key=private, trusted_keys=(str(public),))
    assert look(asked, "signing key").health is Health.OK
    assert look(asked, "trusted keys").message == "1: versions that none of them signed are not served"
    assert "it is not signed" in look(asked, "digits@2").message

    private.chmod(0o644)
    finding = look(asked, "signing key")
    assert (finding.health, finding.hint) == (Health.FAILED, f"chmod 600 {private}")
    finding = look(replace(asked, trusted_keys=(str(private),)), "trusted keys")
    assert (finding.health, "is a private key" in finding.message) == (Health.FAILED, True)


def test_a_certificate_is_looked_at(settings: Settings, tmp_path: Path) -> None:
    """One that ends soon is a warning, one that ended a failure, and without TLS nothing is said."""
    assert not [finding for finding in examine(settings, {}) if finding.name == "certificate"]
    authority = Authority(tmp_path)
    for days, health, said in ((90, Health.OK, "ends in 90 days"), (5, Health.WARNING, "ends in 5 days")):
        pair = authority.issue("server", ends_days=days + 0.1)
        finding = look(replace(settings, tls_certificate=pair.certificate, tls_key=pair.key), "certificate")
        assert (finding.health, said in finding.message) == (health, True)
        assert "localhost, 127.0.0.1" in finding.message
    pair = authority.issue("server", begins_days=-9, ends_days=-1)
    finding = look(replace(settings, tls_certificate=pair.certificate, tls_key=pair.key), "certificate")
    assert (finding.health, "ended at" in finding.message) == (Health.FAILED, True)
