"""Read and write `config.pbtxt` files with Triton's own message."""

import re
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.dag import is_ensemble


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


def as_text(config: ModelConfig) -> str:
    """A config as the text of a `config.pbtxt`, a line for each input, output, parameter and so on."""
    text = text_format.MessageToString(config, use_short_repeated_primitives=True, as_utf8=True)
    entries = re.findall(r"^\w.*?(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = [" ".join(line.strip() for line in entry.splitlines()) for entry in entries]
    lines.sort(key=lambda line: not line.startswith(("name:", "backend:")))
    return "\n".join(lines) + "\n"


def read_repository(repository: Path) -> dict[str, ModelConfig]:
    """Every model of a repository by name.

    Raises:
        ConfigError: if there is none, or one cannot be read.
    """
    configs = [read_config(path) for path in sorted(repository.glob("*/config.pbtxt"))]
    if not configs:
        raise ConfigError(f"{repository}: no */config.pbtxt")
    return {config.name: config for config in configs}


def read_ensemble(repository: Path, name: str) -> tuple[ModelConfig, dict[str, ModelConfig]]:
    """One ensemble of a repository, and every model by name.

    Raises:
        ConfigError: if there is no such ensemble, or a config cannot be read.
    """
    models = read_repository(repository)
    if name not in models or not is_ensemble(models[name]):
        known = ", ".join(sorted(model for model, config in models.items() if is_ensemble(config))) or "none"
        raise ConfigError(f"no ensemble {name} in {repository}; there: {known}")
    return models[name], models
