"""The model that follows an ensemble through BLS, its twin: its configuration, and what it could not follow."""

from collections.abc import Iterator, Mapping

from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelInstanceGroup, ModelOutput

from readability_triton.ensemble.dag import Dag

SPANS = "SPANS"
"""The twin's output besides the ensemble's: where the time of a request went, for those who ask for it."""


def twin_config(ensemble: ModelConfig, models: Mapping[str, ModelConfig], name: str) -> ModelConfig:
    """The configuration of a Python model that takes and gives what the ensemble does, and `SPANS`.

    It is batched where the ensemble and all its steps are: a step that knows no batch must not be given the rows of
    several requests as if they were one's.

    Args:
        ensemble: the ensemble's config.
        models: the repository's configs by name.
        name: of the twin.
    """
    twin = ModelConfig()
    twin.CopyFrom(ensemble)
    for field in ("platform", "ensemble_scheduling", "version_policy"):
        twin.ClearField(field)
    twin.name, twin.backend = name, "python"
    steps = [models.get(step.model, ModelConfig()) for step in Dag.of(ensemble).steps]
    if all(model.max_batch_size > 0 for model in [ensemble, *steps]):
        twin.dynamic_batching.SetInParent()
    twin.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_CPU)
    if SPANS not in {output.name for output in ensemble.output}:
        twin.output.add(name=SPANS, data_type=DataType.TYPE_STRING, dims=[1])
    twin.parameters["ensemble"].string_value = ensemble.name
    return twin


def what_no_twin_can_follow(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> list[str]:
    """What the ensemble does that its twin would not, a sentence each; empty if there is nothing."""
    return [*_steps_of_another_kind(ensemble, models), *_batch_dimensions_that_come_and_go(ensemble, models)]


def _steps_of_another_kind(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    for step in ensemble.ensemble_scheduling.step:
        model = models.get(step.model_name, ModelConfig())
        if step.model_version > 0:
            yield f"step {step.model_name} wants version {step.model_version}, a twin calls the newest"
        if step.model_namespace:
            yield f"step {step.model_name} is of the namespace {step.model_namespace}"
        if model.model_transaction_policy.decoupled:
            yield f"step {step.model_name} is decoupled: it may answer more than once"
        if model.HasField("sequence_batching"):
            yield f"step {step.model_name} is stateful: it has sequence_batching"


def _batch_dimensions_that_come_and_go(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    """Where Triton's scheduler adds a batch dimension of 1, or drops it, between models that batch and that do not."""
    ranks = {tensor.name: _inner_rank(tensor, ensemble) for tensor in [*ensemble.input, *ensemble.output]}
    for step in Dag.of(ensemble).steps:
        model = models.get(step.model, ModelConfig())
        declared = {tensor.name: len(tensor.dims) + _batches(model) for tensor in [*model.input, *model.output]}
        for name, tensor in [*step.outputs.items(), *step.inputs.items()]:
            if name in declared and ranks.setdefault(tensor, declared[name]) != declared[name]:
                yield (
                    f"step {step.model}: {name} has {declared[name]} dimensions with the batch, "
                    f"tensor {tensor} has {ranks[tensor]}"
                )


def _inner_rank(tensor: ModelInput | ModelOutput, ensemble: ModelConfig) -> int:
    dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
    return len(dims) + _batches(ensemble)


def _batches(model: ModelConfig) -> bool:
    return model.max_batch_size > 0
