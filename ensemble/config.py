"""Read `config.pbtxt` files with Triton's own message."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig


class ConfigError(ValueError):
    """A `config.pbtxt` cannot be read; the message names the file and the place in it."""


def read_config(path: Path) -> ModelConfig:
    """Parse one `config.pbtxt`. A missing `name` is taken from the folder, as Triton does.

    Raises:
        ConfigError: if it is missing or not a model configuration.
    """
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not config.name:
        config.name = path.parent.name
    return config


def read_repository(repository: Path) -> dict[str, ModelConfig]:
    """Every model of a repository by name.

    Raises:
        ConfigError: if there is none, or one cannot be read.
    """
    configs = [read_config(path) for path in sorted(repository.glob("*/config.pbtxt"))]
    if not configs:
        raise ConfigError(f"{repository}: no */config.pbtxt")
    return {config.name: config for config in configs}
