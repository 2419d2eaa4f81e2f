"""Stages that the orchestrator computes in its own process, which saves a hop to the process of their models.

Each has the tensors of its model (docs: `model_repository/<model>/config.pbtxt`) and runs the very functions of
`stages` that the model runs, so the scores are the same to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from readability_triton.bls.row_queue import DEFAULT, Options
from readability_triton.bls.stages import StageError
from readability_triton.ensemble.config import read_config
from readability_triton.stages import excerpts
from readability_triton.stages.arrays import Array
from readability_triton.stages.blend import blend
from readability_triton.stages.errors import InvalidRowError

Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]
CHECKPOINT = "checkpoint.tl"


def fold(stage: str, repository: Path) -> "Folded":
    """Load a stage from its model's folder.

    Raises:
        OSError, KeyError, ValueError: if an artefact is missing or malformed.
        ImportError: if a library of the stage is missing: `treelite` for the forest.
    """
    return Folded(stage, _LOADERS[stage](repository / stage))


class Folded:
    """`bls.lane.Run` for a stage in this process."""

    def __init__(self, stage: str, compute: Compute) -> None:
        self._stage, self._compute = stage, compute

    async def __call__(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], _options: Options = DEFAULT
    ) -> Mapping[str, Array]:
        """Compute, in the loop's thread: milliseconds for the rows of a slice."""
        try:
            given = self._compute(inputs)
        except InvalidRowError as error:
            raise StageError(self._stage, str(error)) from error
        return {name: given[name] for name in outputs}


def _newest(model: Path) -> Path:
    versions = [folder for folder in model.iterdir() if folder.name.isdigit()]
    if not versions:
        raise FileNotFoundError(f"{model} has no version folder")
    return max(versions, key=lambda folder: int(folder.name))


def _preprocess(model: Path) -> Compute:
    # Where the stage is not folded its libraries may be missing.
    from readability_triton.stages.preprocess import HostPreprocess

    stage = HostPreprocess(_newest(model))

    def compute(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        ids, mask, features = stage.prepare(excerpts.decode(inputs["INPUT0"].ravel()))
        return {"BERT_IDS": ids, "BERT_AM": mask, "TREE_FEATS": features}

    return compute


def _forest(model: Path) -> Compute:
    from readability_triton.stages import forest  # as above

    file = read_config(model / "config.pbtxt").default_model_filename or CHECKPOINT
    predict = partial(forest.predict, forest.load_forest(_newest(model) / file))
    return lambda inputs: {"output__0": predict(inputs["input__0"])}


def _postprocess(_model: Path) -> Compute:
    return lambda inputs: {
        "OUTPUT0": blend(inputs["BERT_WEIGHT_INPUT"], inputs["BERT_LARGE_SCORE"], inputs["CUML_SCORE"])
    }


_LOADERS: Mapping[str, Callable[[Path], Compute]] = {
    "preprocess": _preprocess,
    "cuml": _forest,
    "postprocess": _postprocess,
}
