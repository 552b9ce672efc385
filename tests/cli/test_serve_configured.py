"""`fairlead serve` with a model configuration, or with a single model, as TensorFlow Serving is started."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.transport.grpc.channel import MODEL, Channel

from fairlead.testing import write_digit_model
from fairlead.transport.grpc.messages import message_class

from .conftest import Server, StartServer

pytestmark = pytest.mark.usefixtures("without_log")

ROWS = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()


def put(base: Path, *versions: int) -> str:
    """Versions that answer their own number; the base path."""
    for version in versions:
        (base / str(version)).mkdir(parents=True)
        write_digit_model(base / str(version), version)
    return str(base)


def config(name: str, base_path: str, rest: str = "") -> str:
    """One model in text format."""
    return f"config {{ name: '{name}' base_path: '{base_path}' model_platform: 'tensorflow' {rest} }}\n"


def digit(server: Server, path: str) -> Any:
    """The digit that a version answers, or what it says instead."""
    status, answer = server.call("POST", f"/v1/models/{path}:predict", ROWS)
    return int(np.argmax(answer["predictions"][0])) if status == 200 else answer["error"]


def settles(server: Server, path: str, wanted: object) -> bool:
    """Whether both workers soon answer what is wanted: twenty answers in a row, each on a connection of its own."""
    deadline = time.monotonic() + 30
    in_a_row = 0
    while in_a_row < 20 and time.monotonic() < deadline:
        in_a_row = in_a_row + 1 if digit(server, path) == wanted else 0
    return in_a_row == 20


def test_a_model_configuration_is_followed(tmp_path: Path, start_server: StartServer) -> None:
    """By every worker: several models with policies and labels; the file may change, and a bad one changes nothing."""
    one, two = put(tmp_path / "somewhere" / "one", 1, 2, 3), put(tmp_path / "elsewhere" / "m", 4)
    file = tmp_path / "models.config"
    labelled = config(
        "one",
        one,
        "model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: 'stable' value: 1 }",
    )
    file.write_text(f"model_config_list {{ {labelled} {config('two', two)} }}")
    flags = ("--model-config-file", str(file), "--home", str(tmp_path / "home"), "--poll-interval-s", "0.05")
    server = start_server(tmp_path / "no store", *flags, "--quiet-period-s", "0", "--workers", "2")
    assert server.wait_ready()["models"] == {"one": 2, "two": 4}

    assert settles(server, "one", 2)
    assert settles(server, "two", 4)
    assert settles(server, "one/labels/stable", 1)
    assert digit(server, "one/versions/3") == "Servable not found for request: Specific(one, 3)"
    assert digit(server, "one/labels/canary") == "Unrecognized servable version label: canary"
    file.write_text("model_config_list { config { nam: 'x' } }")
    while server.log.read_text().count("the one before it stays in force") < 2:
        time.sleep(0.02)
    assert settles(server, "one", 2)
    file.write_text(f"model_config_list {{ {config('one', one)} }}")
    assert settles(server, "one", 3)
    assert settles(server, "two", "Servable not found for request: Latest(two)")
    assert server.wait_ready()["models"] == {"one": 3}
    assert server.stop() == 0


def test_a_model_configuration_is_replaced_over_grpc(tmp_path: Path, start_server: StartServer) -> None:
    """The call returns once models that are new answer, in the process that was asked; the old ones go."""
    one, two = put(tmp_path / "one", 1), put(tmp_path / "two", 2)
    file = tmp_path / "models.config"
    file.write_text(f"model_config_list {{ {config('one', one)} }}")
    flags = ("--model-config-file", str(file), "--home", str(tmp_path / "home"), "--poll-interval-s", "0.05")
    server = start_server(tmp_path / "no store", *flags, "--quiet-period-s", "0", "--workers", "1")
    server.wait_ready()
    request = message_class("tensorflow.serving.ReloadConfigRequest")()
    request.config.model_config_list.config.add(name="two", base_path=two, model_platform="tensorflow")
    with Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        channel.ask(MODEL, "HandleReloadConfigRequest", request)
        assert digit(server, "two") == 2
        assert settles(server, "one", "Servable not found for request: Latest(one)")
        request.config.model_config_list.config[0].base_path = str(tmp_path / "nowhere")
        request.config.model_config_list.config[0].version_labels["stable"] = 9
        code, sentence = channel.refusal(MODEL, "HandleReloadConfigRequest", request)

    assert (code, "label to version 9 of model two" in sentence) == ("FAILED_PRECONDITION", True)
    assert digit(server, "two") == 2


def test_a_request_names_no_directory_but_beside_those_that_were_given(
    tmp_path: Path, start_server: StartServer
) -> None:
    """Whoever may reload the configuration may not read the machine: neither by a path nor by a link."""
    one = put(tmp_path / "models" / "one", 1)
    put(tmp_path / "outside", 2)
    (tmp_path / "models" / "link").symlink_to(tmp_path / "outside")
    flags = ("--model-base-path", one, "--model-name", "one", "--home", str(tmp_path / "home"))
    server = start_server(tmp_path / "no store", *flags, "--quiet-period-s", "0", "--workers", "1")
    server.wait_ready()
    attacks = (f"{tmp_path}/outside", f"{one}/../../outside", f"{tmp_path}/models/link", f"{tmp_path}", "/", "/etc")
    with Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for base_path in attacks:
            request = message_class("tensorflow.serving.ReloadConfigRequest")()
            request.config.model_config_list.config.add(name="m", base_path=base_path, model_platform="tensorflow")
            code, sentence = channel.refusal(MODEL, "HandleReloadConfigRequest", request)
            assert (code, "where no model may be" in sentence) == ("INVALID_ARGUMENT", True), base_path

    assert digit(server, "one") == 1
    assert "m@" not in server.log.read_text()


def test_models_are_in_the_directories_that_are_named(tmp_path: Path, start_server: StartServer) -> None:
    """A configuration that leads elsewhere ends the start; links of plain versions may lead into them."""
    base = tmp_path / "models" / "one"
    put(tmp_path / "blobs", 1)
    base.mkdir(parents=True)
    (base / "1").symlink_to(tmp_path / "blobs" / "1")
    flags = ["--model-base-path", str(base), "--model-name", "one", "--home", str(tmp_path / "home")]
    flags += ["--quiet-period-s", "0", "--workers", "1", "--model-roots"]
    server = start_server(tmp_path / "no store", *flags, str(tmp_path / "blobs"))
    assert server.process.wait(30) == 2
    assert f"model one has the base path {base}, where no model may be" in server.log.read_text()

    server = start_server(tmp_path / "no store", *flags, f"{tmp_path}/models,{tmp_path}/blobs")
    server.wait_ready()
    assert digit(server, "one") == 1


def test_a_single_model_by_its_base_path(tmp_path: Path, start_server: StartServer) -> None:
    """As TensorFlow Serving is started by most."""
    base = put(tmp_path / "anything", 5)
    flags = ("--model-name", "half", "--model-base-path", base, "--home", str(tmp_path / "home"))
    server = start_server(tmp_path / "no store", *flags, "--quiet-period-s", "0")

    assert server.wait_ready()["models"] == {"half": 5}
    assert digit(server, "half") == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("model_config_list {", "no ModelServerConfig in protobuf's text format"),
        (f"model_config_list {{ {config('m', 'models/m')} }}", "to have an absolute path or URI; got base_path"),
    ],
)
def test_a_configuration_that_is_none_ends_the_start(
    tmp_path: Path, start_server: StartServer, text: str | None, said: str
) -> None:
    """In one line."""
    file = tmp_path / "models.config"
    if text is not None:
        file.write_text(text)
    server = start_server(tmp_path, "--model-config-file", str(file), "--home", str(tmp_path / "home"))

    assert server.process.wait(30) == 2
    assert said in server.log.read_text()
