"""The stages of the pipeline as one request sees them: every call goes through the lane of its model."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from readability_triton.bls.answers import check_scores, promise_of
from readability_triton.bls.comparison import Shadow
from readability_triton.bls.folded import fold
from readability_triton.bls.lane import Lane, Run, always
from readability_triton.bls.row_queue import Options, Owner
from readability_triton.bls.settings import Settings
from readability_triton.bls.stages import StageError, Tensor
from readability_triton.bls.tally import Tally
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.stages.arrays import Array, as_array
from readability_triton.stages.prepared import Prepared

CallModel = Callable[[str, Mapping[str, Array], Sequence[str], Options], Awaitable[Mapping[str, Array]]]
"""Calls a model of the server with arrays by name, names of wanted outputs, and options: its outputs by name.

Raises `StageError`.
"""


class Lanes:
    """A lane for each model, made with the first call; those of folded stages at once.

    Args:
        settings: which stages are folded, and the limits of each lane.
        repository: the model repository, with the configurations of all models.
        call_model: calls those that are not folded.
        tally: counts calls and times.
        may_start_background: whether rows for which no client waits may go now; `wake` when this turns true.

    Raises:
        OSError, KeyError, ValueError: if an artefact of a folded stage is missing or malformed.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Path,
        call_model: CallModel,
        tally: Tally,
        may_start_background: Callable[[], bool] = always,
    ) -> None:
        self._settings, self._repository = settings, repository
        self._may_start_background = may_start_background
        self._call_model, self._tally = call_model, tally
        self._lanes: dict[str, Lane] = {}
        for stage in sorted(settings.fold):
            if (repository / stage).is_dir():
                self._lanes[stage] = self._new_lane(stage, fold(stage, repository))

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def stages_of(self, owner: Owner) -> "RequestStages":
        """The stages for one request."""
        return RequestStages(self, owner)

    def lane(self, model: str) -> Lane:
        """The lane of a model."""
        if model not in self._lanes:
            self._lanes[model] = self._new_lane(model, partial(self._call_model, model))
        return self._lanes[model]

    def wake(self) -> None:
        """Begin work in the background, if it may go now."""
        for lane in self:
            lane.wake()

    def dag(self, ensemble: str) -> Dag:
        """The graph of an ensemble of the repository."""
        return _read_dag(self._repository / ensemble / "config.pbtxt")

    def _new_lane(self, model: str, run: Run) -> Lane:
        promise = promise_of(self._repository / model / "config.pbtxt")
        limits, ageing_s = self._settings.limits(model), self._settings.ageing_s
        return Lane(model, run, limits, promise, ageing_s, self._tally, self._may_start_background)


class RequestStages:
    """`readability_triton.bls.stages.Stages` for one request.

    Args:
        lanes: of all models.
        owner: the request.

    Attributes:
        shadows: to be run through a candidate when the request is answered.
    """

    def __init__(self, lanes: Lanes, owner: Owner) -> None:
        self._lanes, self._owner = lanes, owner
        self.shadows: list[Shadow] = []

    async def preprocess(self, excerpts: Tensor) -> Prepared:
        """See `readability_triton.bls.stages.Stages`, as for the other methods."""
        names = ("BERT_IDS", "BERT_AM", "TREE_FEATS")
        outputs = await self.call("preprocess", {"INPUT0": excerpts}, names)
        return Prepared(*(_required(outputs, "preprocess", name) for name in names))

    async def bert(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores of `bert-large`."""
        return await self._scores("bert-large", {"INPUT__0": ids, "INPUT__1": mask}, "OUTPUT__0")

    async def cuml(self, features: Tensor) -> Tensor:
        """Scores of `cuml`."""
        return await self._scores("cuml", {"input__0": features}, "output__0")

    async def call(self, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Mapping[str, Tensor]:
        """Any model."""
        arrays = {name: as_array(tensor) for name, tensor in inputs.items()}
        return await self._lanes.lane(model).call(self._owner, arrays, outputs)

    def dag(self, ensemble: str) -> Dag:
        """The graph of an ensemble."""
        return self._lanes.dag(ensemble)

    def after_answer(self, shadow: Shadow) -> None:
        """Compare later."""
        self.shadows.append(shadow)

    async def _scores(self, model: str, inputs: Mapping[str, Tensor], output: str) -> Tensor:
        """A column of scores; what the policies rely on whatever the model's configuration promises."""
        scores = _required(await self.call(model, inputs, [output]), model, output)
        check_scores(model, output, scores, n_rows=len(next(iter(inputs.values()))))
        return scores


def _required(outputs: Mapping[str, Tensor], stage: str, name: str) -> Tensor:
    if name not in outputs:
        raise StageError(stage, f"output {name} is missing from the answer, which has {', '.join(outputs) or 'none'}")
    return outputs[name]


@cache
def _read_dag(config: Path) -> Dag:
    return Dag.of(read_config(config))
