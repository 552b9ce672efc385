"""TensorFlow Serving's configuration of models: from its text format to what is served."""

import re

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.serving.model_config import ModelConfig
from fairlead.serving.version_policy import LATEST, VersionPolicy
from fairlead.transport.grpc.messages import message_class
from fairlead.transport.grpc.model_config import parse_model_configs, read_model_configs


def test_a_file_as_users_of_tensorflow_serving_write_it() -> None:
    """Several models, each with its path, its policy and its labels; comments and either kind of quotes."""
    text = b"""
    # the models of this machine
    model_config_list {
      config {
        name: 'digits'
        base_path: "/models/digits"
        model_platform: 'tensorflow'
        model_version_policy { specific { versions: 42 versions: 43 } }
        version_labels { key: 'stable' value: 42 }
        version_labels { key: 'canary' value: 43 }
        logging_config { log_collector_config { type: 'x' } sampling_config { sampling_rate: 0.1 } }
      }
      config { name: 'all' base_path: '/models/all' model_platform: 'tensorflow' model_version_policy { all {} } }
      config { name: 'two' base_path: '/2' model_type: TENSORFLOW model_version_policy { latest { num_versions: 2 } } }
      config { name: 'one' base_path: '/one' model_platform: 'onnx' model_version_policy: { latest: {} } }
      config { name: 'bare' base_path: '/bare' }
    }
    """

    assert parse_model_configs(text) == (
        ModelConfig(
            name="digits",
            base_path="/models/digits",
            policy=VersionPolicy(specific=frozenset({42, 43})),
            labels={"stable": 42, "canary": 43},
        ),
        ModelConfig(name="all", base_path="/models/all", policy=VersionPolicy(latest=None)),
        ModelConfig(name="two", base_path="/2", policy=VersionPolicy(latest=2)),
        ModelConfig(name="one", base_path="/one", platform="onnx", policy=LATEST),
        ModelConfig(name="bare", base_path="/bare", platform=""),
    )


def test_a_list_of_no_versions_is_no_missing_list() -> None:
    """It chooses none."""
    text = b"model_config_list { config { name: 'm' model_version_policy { specific {} } } }"

    assert parse_model_configs(text)[0].policy == VersionPolicy(specific=frozenset())
    assert parse_model_configs(b"model_config_list {}") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"model_config_list {", "no ModelServerConfig in protobuf's text format: 1:"),
        (b"model_config_list {\n config { nam: 'm' } }", "2:11 : "),
        (b"model_config_list { config { name: 5 } }", "no ModelServerConfig"),
        (b'{"models": []}', "no ModelServerConfig"),
        (b"\xff", "no ModelServerConfig"),
        (b"", "Only ModelConfigList is currently supported"),
        (b"custom_model_config {}", "ServerModelConfig type not supported by HandleReloadConfigRequest."),
    ],
)
def test_other_texts_are_refused(text: bytes, said: str) -> None:
    """With the line and the column."""
    with pytest.raises(FairleadError, match=re.escape(said)) as caught:
        parse_model_configs(text)

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_request_carries_the_same_message() -> None:
    """What HandleReloadConfigRequest has in it."""
    message = message_class("tensorflow.serving.ModelServerConfig")()
    config = message.model_config_list.config.add(name="m", base_path="/m", model_platform="tensorflow")
    config.version_labels["x"] = 3

    assert read_model_configs(message) == (ModelConfig(name="m", base_path="/m", labels={"x": 3}),)
