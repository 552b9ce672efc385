"""A store in a bucket: what is published is there whole, of two writers one wins, and a host goes on without it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest
from obstore.store import from_url
from tests.hosts.bucket import S3, s3

from fairlead.app.doctor.models import writable
from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import ServableId
from fairlead.store.bucket import Bucket
from fairlead.store.mirror import Mirror
from fairlead.store.mirrored_store import MirroredStore
from fairlead.store.release import Candidate, Mode
from fairlead.store.store import Store
from fairlead.testing import publish_digit

ONE, TWO = ServableId("digits", 1), ServableId("digits", 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """For all tests here."""
    with s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@dataclass
class World:
    """A bucket, and hosts that have a copy of it each."""

    root: Path
    url: str

    def mirror(self, host: str = "here", most_bytes: int = 2**30) -> Mirror:
        """The copy of a host."""
        return Mirror(Bucket(self.url), self.root / host, most_bytes)

    def store(self, host: str = "here") -> MirroredStore:
        """The store as a writer on that host has it, after a look."""
        mirror = self.mirror(host)
        mirror.pull(is_whole=True, takes_damage=True)
        return MirroredStore(mirror, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who=host)

    def put(self, path: str, data: bytes) -> None:
        """Change the bucket behind everybody's back."""
        obstore.put(from_url(self.url), path, data)

    def remove(self, path: str) -> None:
        obstore.delete(from_url(self.url), path)

    def names(self) -> list[str]:
        return Bucket(self.url).names("")


@pytest.fixture
def world(server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty bucket."""
    for name, value in server.environ().items():
        monkeypatch.setenv(name, value)
    return World(tmp_path, f"s3://{server.new_bucket()}/team/models")


def test_what_one_host_publishes_another_serves(world: World) -> None:
    """Version, release and history, as a plain store on the other host, whose bytes are checked as ever."""
    here = world.store()
    publish_digit(here, "digits", 7)
    here.promote(ONE, why="first")
    publish_digit(here, "digits", 3)
    here.try_candidate("digits", Candidate(version=2, mode=Mode.CANARY, weight=0.1, salt="s"), why="try")
    here.promote(TWO, why="better")

    there = world.mirror("there")
    there.pull()
    store = Store(there.root)
    assert store.versions("digits") == (1, 2)
    assert [(release.stable, release.why) for release in store.history("digits")] == [
        (1, "first"),
        (1, "try"),
        (2, "better"),
    ]
    assert store.open(TWO).manifest.version == 2
    with pytest.raises(FairleadError) as caught:  # version 1 is in no release: its files are not needed here
        store.open(ONE)
    assert caught.value.code is Code.DATA_LOSS
    assert world.store("there").rollback("digits", why="back").release.stable == 1
    assert store.open(ONE).manifest.version == 1


def test_what_a_graph_is_made_of_comes_and_stays_with_it(world: World) -> None:
    """Though no release names it, and though there is room for nothing that is not needed."""
    here = world.store()
    for digit in (7, 3):
        publish_digit(here, "digits", digit)
    here.promote(TWO, why="only this one")
    spec = GraphSpec.from_json({"kind": "average", "members": [{"version": "digits@1"}, {"version": "digits@2"}]})
    golden = here.base("digits") / "1" / GOLDEN_FILE
    made = replace(here.manifest(ONE), model="both", runtime="graph", graph=spec)
    here.publish("both", {GOLDEN_FILE: golden}, lambda version, files: replace(made, version=version, files=files))
    here.promote(ServableId("both", 1), why="")
    there = world.mirror("there", most_bytes=0)
    there.pull()
    store = Store(there.root)
    os.utime(store.base("digits") / "1", (0, 0))
    there._evict()

    assert store.open(ONE).manifest.version == 1


def test_people_are_told_of_the_bucket_not_of_the_copy(world: World) -> None:
    """By errors and by the doctor, who does not call a bucket writable for a directory that is."""
    store = world.store()
    publish_digit(store, "digits", 7)
    with pytest.raises(FairleadError) as caught:
        store.manifest(ServableId("nobody", 1))
    assert f"in {world.url}" in caught.value.message
    assert writable(store).message == f"{world.url}: 1 models, followed in {store.root}"


def test_a_look_is_cheap_and_follows(world: World) -> None:
    """A change of the release is seen by the next look, also of a version that was never heard of."""
    here = world.store()
    publish_digit(here, "digits", 7)
    here.promote(ONE, why="first")
    there = world.mirror("there")
    there.pull()
    publish_digit(here, "digits", 3)
    here.promote(TWO, why="better")

    there.pull()
    release = Store(there.root).release("digits")
    assert release is not None
    assert release.stable == 2
    assert abs(there.pulled_at - time.time()) < 30


def test_of_two_writers_one_is_told(world: World) -> None:
    """A release that another host has changed since is not written over, and both hosts go by what is in force."""
    here, there = world.store(), world.store("there")
    for digit in (7, 3):
        publish_digit(here, "digits", digit)
    here.promote(ONE, why="first")
    world.mirror("there").pull(is_whole=True)
    mirror = here._mirror
    etag = mirror.etag("digits")
    there.promote(TWO, why="better")

    mirror.remember("digits", etag)
    with pytest.raises(FairleadError) as caught:
        here._write_release(here.base("digits"), Store(here.root).release("digits"))  # type: ignore[arg-type]
    assert caught.value.code is Code.ABORTED
    assert here.promote(TWO, why="again").stable == 2  # a repeat, once it has looked
    assert [one.who for one in here.history("digits")] == ["here", "there"]


def test_writers_on_many_hosts_never_share_a_number(world: World) -> None:
    """Four hosts that publish at once make four versions, each with its own bytes."""
    stores = [world.store(f"host-{number}") for number in range(4)]
    made: list[tuple[int, int]] = []

    def publish(digit: int, store: MirroredStore) -> None:
        made.append((publish_digit(store, "digits", digit).manifest.version, digit))

    threads = [threading.Thread(target=publish, args=pair) for pair in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(version for version, _ in made) == [1, 2, 3, 4]
    reader = world.store("reader")
    digests = {reader.open(ServableId("digits", version)).manifest.files["model.onnx"] for version, _ in made}
    assert len(digests) == 4


def test_half_a_version_is_none(world: World) -> None:
    """What was uploaded without its manifest is not seen, and its number is not used again."""
    here = world.store()
    publish_digit(here, "digits", 7)
    world.put("digits/2/claim", b"somebody who died")
    world.put("digits/2/model.onnx", b"half")

    assert world.store("there").versions("digits") == (1,)
    assert publish_digit(here, "digits", 3).manifest.version == 3


def test_an_upload_that_fails_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor there, wherever it failed."""
    here = world.store()
    publish_digit(here, "digits", 7)
    bucket = here._mirror.bucket

    def fail(*_: object) -> None:
        raise FairleadError(Code.UNAVAILABLE, "the line is cut")

    monkeypatch.setattr(bucket, "upload", fail)
    with pytest.raises(FairleadError, match="the line is cut"):
        publish_digit(here, "digits", 3)
    assert here.versions("digits") == (1,)
    assert world.store("there").versions("digits") == (1,)


def test_damage_is_not_taken_over(world: World) -> None:
    """A file in the bucket that is not as published is refused, and the release before it stays; here it is mended."""
    here = world.store()
    for digit in (7, 3):
        publish_digit(here, "digits", digit)
    here.promote(ONE, why="first")
    there = world.mirror("there")
    there.pull()
    world.put("digits/2/model.onnx", b"changed")
    here.promote(TWO, why="better")

    with pytest.raises(FairleadError) as caught:
        there.pull()
    assert caught.value.code is Code.DATA_LOSS
    release = Store(there.root).release("digits")
    assert release is not None
    assert release.stable == 1
    model = there.root / "digits" / "1" / "model.onnx"
    model.write_bytes(b"damaged on this disk")
    there.fetch(ONE)
    assert Store(there.root).open(ONE).manifest.version == 1


def test_damage_is_read_again_after_ever_longer_pauses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks every second does not read a large file as often; once mended, it is found within a minute."""
    here = world.store()
    publish_digit(here, "digits", 7)
    whole = (here.open(ONE).directory / "model.onnx").read_bytes()
    here.promote(ONE, why="first")
    world.put("digits/1/model.onnx", b"changed")
    now = [0.0]
    there = Mirror(Bucket(world.url), world.root / "there", 2**30, clock=lambda: now[0])
    reads: list[float] = []
    download = there.bucket.download

    def counted(path: str, target: Path) -> str:
        if path.endswith("model.onnx"):
            reads.append(now[0])
        return download(path, target)

    monkeypatch.setattr(there.bucket, "download", counted)
    for second in range(200):
        now[0] = float(second)
        with pytest.raises(FairleadError, match="its manifest says"):
            there.pull()
    assert reads == [0, 1, 3, 7, 15, 31, 63, 123, 183]

    world.put("digits/1/model.onnx", whole)
    now[0] = 243.0
    there.pull()
    release = Store(there.root).release("digits")
    assert release is not None
    assert release.stable == 1


def test_what_is_damaged_on_this_disk_is_mended_at_a_start(world: World) -> None:
    """Though the bucket says that nothing has changed."""
    here = world.store()
    publish_digit(here, "digits", 7)
    here.promote(ONE, why="first")
    world.mirror("there").pull()
    model = world.root / "there" / "digits" / "1" / "model.onnx"
    model.write_bytes(b"damaged on this disk")

    world.mirror("there").pull(is_whole=True)
    assert model.read_bytes() == b"damaged on this disk"
    world.mirror("there").mend()
    assert Store(world.root / "there").open(ONE).manifest.version == 1


def test_without_a_release_the_newest_version_is_here(world: World) -> None:
    """As it serves from a directory; once there is a release, that says what is needed."""
    here = world.store()
    publish_digit(here, "digits", 7)
    there = world.mirror("there")
    there.pull()
    assert Store(there.root).open(ONE).manifest.version == 1

    here.promote(ONE, why="first")
    publish_digit(here, "digits", 3)
    there.pull(is_whole=True)
    with pytest.raises(FairleadError):
        Store(there.root).open(TWO)


def test_damage_of_one_model_holds_no_other_up(world: World) -> None:
    """The others are followed, and the trouble is told each time."""
    here = world.store()
    for digit in (7, 3):
        publish_digit(here, "digits", digit)
    here.promote(ONE, why="first")
    there = world.mirror("there")
    there.pull()
    publish_digit(here, "bad", 1)
    here.promote(ServableId("bad", 1), why="first")
    world.put("bad/1/model.onnx", b"changed")
    here.promote(TWO, why="better")

    for _ in range(2):
        with pytest.raises(FairleadError) as caught:
            there.pull(is_whole=True)
        assert caught.value.code is Code.DATA_LOSS
        assert "bad/1/model.onnx" in caught.value.message
    release = Store(there.root).release("digits")
    assert release is not None
    assert release.stable == 2
    assert Store(there.root).release("bad") is None


def test_a_release_that_is_damaged_or_names_damage_can_be_rolled_back(world: World) -> None:
    """From a host that has nothing yet: that is when it is needed."""
    here = world.store()
    for digit, version in ((7, ONE), (3, TWO)):
        publish_digit(here, "digits", digit)
        here.promote(version, why="better")
    world.put("digits/2/model.onnx", b"changed")
    with pytest.raises(FairleadError):
        world.mirror("server").pull()

    assert world.store("there").rollback("digits", why="damaged").release.stable == 1
    server = world.mirror("server")
    server.pull()
    assert Store(server.root).open(ONE).manifest.version == 1

    world.put("digits/release.json", b"{")
    with pytest.raises(FairleadError) as caught:
        server.pull()
    assert caught.value.code is Code.DATA_LOSS
    mended = world.store("elsewhere").promote(ONE, why="mended", label="kept")
    assert (mended.revision, mended.stable) == (4, 1)
    server.pull()
    assert Store(server.root).release("digits") == mended


@pytest.mark.parametrize("path", [".mirror-lock/1/manifest.json", ".pulled/release.json", "a b/1/manifest.json"])
def test_names_that_no_model_has_are_left_alone(path: str, world: World) -> None:
    """Whoever can put objects there cannot have this host write where nothing of a model is."""
    publish_digit(world.store(), "digits", 7)
    world.put(path, b"{}")

    there = world.store("there")
    assert there.models() == ("digits",)
    assert not (there.root / path).exists()


def test_a_path_that_leads_out_is_refused(world: World, server: S3) -> None:
    """Nothing of it is written, here or beside."""
    publish_digit(world.store(), "digits", 7)
    bucket = world.url.split("/")[2]
    server.ask("PUT", f"/{bucket}/team/models/..%2F..%2Fout/1/manifest.json", b"{}")

    with pytest.raises(FairleadError, match="illegal character sequence"):
        world.store("there")
    assert list(world.root.rglob("out")) == []


def test_old_versions_make_room(world: World) -> None:
    """What no release names goes when there is too much, the longest unused first; what serves stays."""
    here = world.store()
    for digit in (7, 3, 5):
        publish_digit(here, "digits", digit)
    for version in (1, 2):
        here.promote(ServableId("digits", version), why="")
    there = world.mirror("there", most_bytes=1)
    there.pull()
    there.fetch(ONE)
    os.utime(there.root / "digits" / "1", (1, 1))
    here.promote(ServableId("digits", 3), why="")
    os.utime(there.root / "digits" / "2", (1, 1))

    there.pull()
    kept = {version: (there.root / "digits" / version / "model.onnx").exists() for version in ("1", "2", "3")}
    assert kept == {"1": False, "2": False, "3": True}
    assert Store(there.root).versions("digits") == (1, 2, 3)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://key:secret@bucket/models", "'bucket/models' is no bucket"),
        ("s3://bucket/../models", "is no bucket"),
        ("s3://bucket/models?x=1", "is no bucket"),
        ("http://127.0.0.1/models", "is no bucket"),
        ("file:///etc", "is no bucket"),
        ("s3://", "is no bucket"),
    ],
)
def test_a_url_that_is_no_bucket_is_refused(url: str, said: str) -> None:
    """And a credential in it is not said again."""
    with pytest.raises(FairleadError) as caught:
        Bucket(url)
    assert said in caught.value.message
    assert "secret" not in str(caught.value)


def test_what_is_no_store_is_told(world: World, server: S3) -> None:
    """A bucket that is not there, one that holds something else, and a server that does not answer."""
    with pytest.raises(FairleadError) as missing:
        Mirror(Bucket("s3://nowhere/models"), world.root / "m", 1).pull()
    assert (missing.value.code, "does not exist" in missing.value.message) == (Code.NOT_FOUND, True)
    world.put("holiday/photo.jpg", b"...")
    with pytest.raises(FairleadError) as other:
        world.store()
    assert other.value.code is Code.FAILED_PRECONDITION
    assert "holiday/photo.jpg" in other.value.message


class _Refusal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    def log_message(self, *_: object) -> None:
        pass


def test_credentials_that_may_not_read_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PERMISSION_DENIED, with what to look at and without the secret."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusal) as refusing:
        thread = threading.Thread(target=refusing.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.server_port}")
        try:
            with pytest.raises(FairleadError) as caught:
                world.store()
        finally:
            refusing.shutdown()
            thread.join()
    assert caught.value.code is Code.PERMISSION_DENIED
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert "not-a-secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """UNAVAILABLE, within seconds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(FairleadError) as caught:
        world.store()
    assert caught.value.code is Code.UNAVAILABLE
    assert time.monotonic() - began < 20
