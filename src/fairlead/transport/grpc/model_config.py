"""TensorFlow Serving's message for the configuration of models, from a request or from a file in text format."""

from __future__ import annotations

from google.protobuf import text_format

from fairlead.errors import Code, FairleadError
from fairlead.serving.model_config import ModelConfig
from fairlead.serving.version_policy import LATEST, VersionPolicy
from fairlead.transport.grpc.messages import POOL, Message, enum_values, message_class
from fairlead.transport.invalid import invalid

__all__ = ["parse_model_configs", "read_model_configs"]

_ModelServerConfig = message_class("tensorflow.serving.ModelServerConfig")
_TENSORFLOW = enum_values("tensorflow.serving.ModelType")["TENSORFLOW"]


def parse_model_configs(text: bytes) -> tuple[ModelConfig, ...]:
    """The models in a ModelServerConfig in protobuf's text format.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the line; also as `read_model_configs`.
    """
    message = _ModelServerConfig()
    try:
        text_format.Parse(text.decode(), message, descriptor_pool=POOL)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the model configuration is no ModelServerConfig in protobuf's text format: {error}",
            hint="model_config_list { config { name: 'm' base_path: '/models/m' model_platform: 'tensorflow' } }",
        ) from error
    return read_model_configs(message)


def read_model_configs(message: Message) -> tuple[ModelConfig, ...]:
    """The models in a ModelServerConfig.

    Raises:
        FairleadError: INVALID_ARGUMENT, in TensorFlow Serving's words, when it has no list of models. What is in the
            list is left to `check_configs`.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    return tuple(_read(config) for config in message.model_config_list.config)


def _read(config: Message) -> ModelConfig:
    return ModelConfig(
        name=config.name,
        base_path=config.base_path,
        platform=config.model_platform or ("tensorflow" if config.model_type == _TENSORFLOW else ""),
        policy=_policy(config.model_version_policy),
        labels=dict(config.version_labels),
    )


def _policy(policy: Message) -> VersionPolicy | None:
    match policy.WhichOneof("policy_choice"):
        case "latest":
            return VersionPolicy(latest=policy.latest.num_versions) if policy.latest.num_versions else LATEST
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            return VersionPolicy(specific=frozenset(version for version in policy.specific.versions if version >= 0))
        case _:
            return None
