"""An ensemble as a graph: steps, and the tensors between them."""

from collections.abc import Iterator
from dataclasses import dataclass

from tritonclient.grpc.model_config_pb2 import ModelConfig


@dataclass(frozen=True)
class Step:
    """One model of an ensemble.

    Attributes:
        model: its name.
        inputs: the model's input to the ensemble's tensor that it reads.
        outputs: the model's output to the ensemble's tensor that it writes.
    """

    model: str
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Dag:
    """An ensemble's steps in the order of its config, with the tensors that it takes and gives."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, config: ModelConfig) -> "Dag":
        """The graph of an ensemble's config.

        Raises:
            ValueError: if it is not an ensemble's.
        """
        if not is_ensemble(config):
            raise ValueError(f"{config.name} is not an ensemble: its config has no ensemble_scheduling")
        return cls(
            config.name,
            tuple(tensor.name for tensor in config.input),
            tuple(tensor.name for tensor in config.output),
            tuple(
                Step(step.model_name, dict(sorted(step.input_map.items())), dict(sorted(step.output_map.items())))
                for step in config.ensemble_scheduling.step
            ),
        )

    def producers(self, tensor: str) -> list[Step]:
        """The steps that write `tensor`."""
        return [step for step in self.steps if tensor in step.outputs.values()]

    def consumers(self, tensor: str) -> list[Step]:
        """The steps that read `tensor`."""
        return [step for step in self.steps if tensor in step.inputs.values()]

    def levels(self) -> Iterator[list[Step]]:
        """Steps that may run at the same time, one list after the other; steps on a cycle are in none."""
        ready, waiting = set(self.inputs), list(self.steps)
        while level := [step for step in waiting if ready.issuperset(step.inputs.values())]:
            yield level
            waiting = [step for step in waiting if step not in level]
            ready.update(tensor for step in level for tensor in step.outputs.values())


def is_ensemble(config: ModelConfig) -> bool:
    """Whether the config describes an ensemble."""
    return config.platform == "ensemble" or config.HasField("ensemble_scheduling")
