"""Check an ensemble offline: what Triton checks when it loads one, and what it does not."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelOutput

from readability_triton.ensemble.dag import Dag, Step


class TensorType(NamedTuple):
    """Data type and shape of a tensor, its batch dimension written as -1 where the model batches."""

    data_type: int
    dims: tuple[int, ...]

    def __str__(self) -> str:
        return f"{DataType.Name(self.data_type).removeprefix('TYPE_')} {list(self.dims)}"


def problems(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> list[str]:
    """Everything that is wrong with an ensemble, a sentence each; empty if nothing is.

    Args:
        ensemble: the ensemble's config.
        models: the repository's configs by name.
    """
    dag = Dag.of(ensemble)
    return [
        *_steps_of_known_models(dag, models),
        *_maps_that_fit_the_models(dag, models),
        *_each_tensor_written_once(dag),
        *_each_tensor_used(dag),
        *_no_cycles(dag),
        *_types_that_fit(dag, ensemble, models),
        *_batches_that_fit(dag, ensemble, models),
        *_fields_an_ensemble_cannot_have(ensemble),
    ]


def _steps_of_known_models(dag: Dag, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    if not dag.steps:
        yield f"{dag.name} has no steps"
    for step in dag.steps:
        if step.model == dag.name:
            yield f"step {step.model} is the ensemble itself"
        elif step.model not in models:
            yield f"step {step.model}: no such model in the repository"


def _maps_that_fit_the_models(dag: Dag, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    for step, model in _known(dag, models):
        inputs = {tensor.name: tensor.optional for tensor in model.input}
        outputs = {tensor.name for tensor in model.output}
        for name in sorted(step.inputs.keys() - inputs.keys()):
            yield f"step {step.model}: the model has no input {name}"
        for name in sorted(step.outputs.keys() - outputs):
            yield f"step {step.model}: the model has no output {name}"
        for name, optional in inputs.items():
            if not optional and name not in step.inputs:
                yield f"step {step.model}: nothing is mapped to its input {name}"


def _each_tensor_written_once(dag: Dag) -> Iterator[str]:
    written = Counter([*dag.inputs, *(tensor for step in dag.steps for tensor in step.outputs.values())])
    for tensor, times in written.items():
        if times > 1:
            yield f"tensor {tensor} is written {times} times"
    read = {tensor for step in dag.steps for tensor in step.inputs.values()} | set(dag.outputs)
    for tensor in sorted(read - written.keys()):
        yield f"tensor {tensor} is read but never written"


def _each_tensor_used(dag: Dag) -> Iterator[str]:
    written = [*dag.inputs, *(tensor for step in dag.steps for tensor in step.outputs.values())]
    for tensor in dict.fromkeys(written):
        if not dag.consumers(tensor) and tensor not in dag.outputs:
            yield f"tensor {tensor} is written but never used"


def _no_cycles(dag: Dag) -> Iterator[str]:
    stuck = [step for step in dag.steps if step in _behind(dag, step)]
    if stuck:
        yield f"steps {', '.join(step.model for step in stuck)} wait for one another"


def _behind(dag: Dag, step: Step) -> list[Step]:
    """The steps that cannot run before `step` has; `step` itself among them if it is on a cycle."""
    behind: list[Step] = []
    new = [step]
    while new:
        written = {tensor for each in new for tensor in each.outputs.values()}.difference(dag.inputs)
        new = [each for each in dag.steps if written.intersection(each.inputs.values()) and each not in behind]
        behind += new
    return behind


def _types_that_fit(dag: Dag, ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    given = {tensor.name: _type(tensor, ensemble) for tensor in ensemble.input}
    for step, model in _known(dag, models):
        declared = {tensor.name: _type(tensor, model) for tensor in model.output}
        given |= {tensor: declared[name] for name, tensor in step.outputs.items() if name in declared}
    for step, model in _known(dag, models):
        wanted = {tensor.name: _type(tensor, model) for tensor in model.input}
        for name, tensor in step.inputs.items():
            if name in wanted and tensor in given and not _fits(given[tensor], wanted[name]):
                yield f"step {step.model}: {name} is {wanted[name]}, tensor {tensor} is {given[tensor]}"
    for output in ensemble.output:
        promised = _type(output, ensemble)
        if output.name in given and not _fits(given[output.name], promised):
            yield f"output {output.name} is promised as {promised}, its step gives {given[output.name]}"


def _batches_that_fit(dag: Dag, ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    for step, model in _known(dag, models):
        if 0 < model.max_batch_size < ensemble.max_batch_size:
            yield (
                f"{dag.name} takes batches of {ensemble.max_batch_size}, "
                f"its step {step.model} only {model.max_batch_size}"
            )


def _fields_an_ensemble_cannot_have(ensemble: ModelConfig) -> Iterator[str]:
    if ensemble.platform != "ensemble":
        yield f'{ensemble.name} must say platform: "ensemble"'
    if ensemble.backend:
        yield f"{ensemble.name} names a backend, {ensemble.backend}"
    for field in ("dynamic_batching", "sequence_batching"):
        if ensemble.HasField(field):
            yield f"{ensemble.name} has {field}: an ensemble is scheduled step by step"
    for repeated in ("instance_group", "model_warmup"):
        if getattr(ensemble, repeated):
            yield f"{ensemble.name} has {repeated}: only its steps can"


def _known(dag: Dag, models: Mapping[str, ModelConfig]) -> list[tuple[Step, ModelConfig]]:
    return [(step, models[step.model]) for step in dag.steps if step.model in models]


def _type(tensor: ModelInput | ModelOutput, model: ModelConfig) -> TensorType:
    dims = tuple(tensor.dims)
    return TensorType(tensor.data_type, (-1, *dims) if model.max_batch_size > 0 else dims)


def _fits(given: TensorType, wanted: TensorType) -> bool:
    if given.data_type != wanted.data_type or len(given.dims) != len(wanted.dims):
        return False
    return all(-1 in pair or pair[0] == pair[1] for pair in zip(given.dims, wanted.dims, strict=True))
