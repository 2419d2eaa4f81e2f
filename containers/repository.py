"""A model repository as the checks see it: configurations, files, and which of Triton's parts it uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from readability_triton.containers.imports import attributes_of, reached
from readability_triton.ensemble.config import read_repository
from readability_triton.ensemble.dag import is_ensemble

EXECUTION_ENVIRONMENT = "EXECUTION_ENV_PATH"
MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"
STUB = "triton_python_backend_stub"


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: of its configuration.
        folder: in the repository.
        config: its `config.pbtxt`.
    """

    name: str
    folder: Path
    config: ModelConfig

    @property
    def backend(self) -> str:
        """Its backend, by either way to say it."""
        return self.config.backend or self.config.platform.removeprefix("pytorch_").replace("libtorch", "pytorch")

    @property
    def parameters(self) -> Mapping[str, str]:
        """String parameters by name."""
        return {key: value.string_value for key, value in self.config.parameters.items()}

    @property
    def versions(self) -> list[Path]:
        """Version folders."""
        return sorted(folder for folder in self.folder.iterdir() if folder.is_dir() and folder.name.isdigit())

    def files(self, default: str) -> list[Path]:
        """The model's file in each version, where it is: `default_model_filename`, or `default`."""
        name = self.config.default_model_filename or default
        return [folder / name for folder in self.versions if (folder / name).is_file()]

    @property
    def is_python(self) -> bool:
        """Whether the Python backend runs it."""
        return self.config.backend == "python"

    @property
    def has_own_stub(self) -> bool:
        """Whether it brings a stub for a Python of its own."""
        return (self.folder / STUB).is_file()

    @property
    def environment(self) -> Path | None:
        """Archive or folder of its execution environment, as a path on this machine; None without."""
        text = self.parameters.get(EXECUTION_ENVIRONMENT)
        return Path(text.replace(MODEL_DIRECTORY, str(self.folder))) if text else None

    @cached_property
    def sources(self) -> list[Path]:
        """Its Python files."""
        return sorted(file for file in self.folder.rglob("*.py") if "__pycache__" not in file.parts)

    @cached_property
    def reached(self) -> list[Path]:
        """Its Python files, and those of your own packages that they import."""
        return reached(self.sources)


def read_models(repository: Path) -> list[Model]:
    """All models.

    Raises:
        ConfigError: if there is none, or a configuration cannot be read.
    """
    paths = sorted(repository.glob("*/config.pbtxt"))
    configs = read_repository(repository)  # of these files, in this order
    return [Model(name, path.parent, config) for path, (name, config) in zip(paths, configs.items(), strict=True)]


def traits(models: list[Model]) -> frozenset[str]:
    """Which parts of Triton the models use, by the words of `concerns` in `releases.toml`."""
    python = [model for model in models if model.is_python]
    attributes = attributes_of([file for model in python for file in model.reached])
    steps = {step.model_name for model in models for step in model.config.ensemble_scheduling.step}
    found = {
        "any": True,
        "python": bool(python),
        "bls": "InferenceRequest" in attributes,
        "async_exec": "async_exec" in attributes
        or ("InferenceRequest" in attributes and any(_is_decoupled(model) for model in models)),
        "python_on_gpu": any(_may_be_on_gpu(model) for model in python),
        "execution_environment": any(model.environment for model in python),
        "ensemble": any(is_ensemble(model.config) for model in models),
        "ensemble_queue": any(model.name in steps and _bounds_its_queue(model) for model in models),
        "dynamic_batching": any(model.config.HasField("dynamic_batching") for model in models),
        "preserve_ordering": any(model.config.dynamic_batching.preserve_ordering for model in models),
        "cache": any(model.config.response_cache.enable for model in models),
    }
    return frozenset(name for name, holds in found.items() if holds)


def _is_decoupled(model: Model) -> bool:
    return bool(model.config.model_transaction_policy.decoupled)


def _may_be_on_gpu(model: Model) -> bool:
    kinds = [group.kind for group in model.config.instance_group] or [ModelInstanceGroup.KIND_AUTO]
    keeps = model.parameters.get("FORCE_CPU_ONLY_INPUT_TENSORS") == "no"
    return keeps and any(kind in (ModelInstanceGroup.KIND_AUTO, ModelInstanceGroup.KIND_GPU) for kind in kinds)


def _bounds_its_queue(model: Model) -> bool:
    batching = model.config.dynamic_batching
    policies = [batching.default_queue_policy, *batching.priority_queue_policy.values()]
    return any(policy.max_queue_size for policy in policies)
