"""The stages over NumPy, with a record of what was asked of them, and a loop in which waiting takes no time."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from readability_triton.bls.comparison import Shadow
from readability_triton.bls.stages import StageError
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.stages.blend import blend
from readability_triton.stages.prepared import Prepared

REPOSITORY = Path(__file__).parents[2] / "model_repository"


class Recorder:
    """`readability_triton.bls.stages.Stages` in which a text scores its length (bert) and its first byte (cuml).

    Attributes:
        calls: model and rows of every call, in order.
        tensors: what `bert` was given last: ids and mask.
        delays: seconds that a model takes.
        fails: how often a model fails before it answers.
        poison: preprocess fails for every call that holds this text.
        shadows: what is to be compared after the answer.
    """

    ALWAYS = math.inf

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.tensors: tuple[Any, Any] | None = None
        self.delays: dict[str, float] = defaultdict(float)
        self.fails: dict[str, float] = defaultdict(int)
        self.poison: bytes | None = None
        self.shadows: list[Shadow] = []

    async def preprocess(self, excerpts: NDArray[Any]) -> Prepared:
        await self._answer("preprocess", excerpts)
        texts = excerpts.ravel().tolist()
        if self.poison in texts:
            raise StageError("preprocess", "cannot swallow this")
        ids = np.array([[len(text), text[0]] for text in texts], dtype=np.int64)
        return Prepared(ids, np.ones_like(ids), ids.astype(np.float32))

    async def bert(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.tensors = ids, mask
        await self._answer("bert-large", ids)
        return (ids * mask)[:, :1].astype(np.float32)

    async def cuml(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        await self._answer("cuml", features)
        return features[:, 1:]

    async def call(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        given = await self._models[model](**inputs)
        return {name: given[name] for name in outputs}

    def dag(self, ensemble: str) -> Dag:
        return Dag.of(read_config(REPOSITORY / ensemble / "config.pbtxt"))

    def after_answer(self, shadow: Shadow) -> None:
        self.shadows.append(shadow)

    def asked(self, model: str) -> list[int]:
        """Rows of every call of one model."""
        return [n_rows for name, n_rows in self.calls if name == model]

    async def _answer(self, model: str, tensor: NDArray[Any]) -> None:
        self.calls.append((model, len(tensor)))
        self.fails[model] -= 1
        failing = self.fails[model] >= 0
        await asyncio.sleep(self.delays[model])
        if failing:
            raise StageError(model, "out of order")

    @property
    def _models(self) -> dict[str, Callable[..., Awaitable[dict[str, Any]]]]:
        """The models by the names of their tensors, as in the repository."""

        async def preprocess(INPUT0: Any) -> dict[str, Any]:  # noqa: N803
            return dict(zip(("BERT_IDS", "BERT_AM", "TREE_FEATS"), await self.preprocess(INPUT0), strict=True))

        async def bert(INPUT__0: Any, INPUT__1: Any) -> dict[str, Any]:  # noqa: N803
            return {"OUTPUT__0": await self.bert(INPUT__0, INPUT__1)}

        async def cuml(input__0: Any) -> dict[str, Any]:
            return {"output__0": await self.cuml(input__0)}

        async def postprocess(BERT_WEIGHT_INPUT: Any, BERT_LARGE_SCORE: Any, CUML_SCORE: Any) -> dict[str, Any]:  # noqa: N803
            await self._answer("postprocess", CUML_SCORE)
            return {"OUTPUT0": blend(BERT_WEIGHT_INPUT, BERT_LARGE_SCORE, CUML_SCORE)}

        async def ensemble_all(excerpt: Any, BERT_WEIGHT: Any) -> dict[str, Any]:  # noqa: N803
            await self._answer("ensemble_all", excerpt)
            texts = excerpt.ravel().tolist()
            lengths, bytes_ = np.array([[len(text), text[0]] for text in texts], np.float32).T[:, :, None]
            return {"SCORE": blend(BERT_WEIGHT, lengths, bytes_)}

        named = {"preprocess": preprocess, "bert-large": bert, "cuml": cuml, "postprocess": postprocess}
        return {**named, "ensemble_all": ensemble_all}


@pytest.fixture
def stages() -> Recorder:
    return Recorder()


class Instant(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to what is due next: waits take no time, and how long they were is exact.

    Attributes:
        complaints: what asyncio would have logged, such as an exception that nobody looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._start = 0.0
        self._really_select, self._selector.select = self._selector.select, self._jump
        self.complaints: list[str] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context["message"]))

    def time(self) -> float:
        return self._now

    def _jump(self, timeout: float | None) -> Any:
        assert timeout is not None, "everything waits for something that never comes"
        self._now += timeout
        return self._really_select(0)

    def run(self, coroutine: Awaitable[Any]) -> Any:
        """What the coroutine gives; `seconds` is then how long it took."""
        self._start = self._now
        try:
            return self.run_until_complete(coroutine)
        finally:
            self.seconds = self._now - self._start

    def end_all(self) -> None:
        """Let everything that still runs come to its end."""
        while tasks := asyncio.all_tasks(self):
            self.run_until_complete(asyncio.wait(tasks))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instant]:
    loop = Instant()
    monkeypatch.setattr("readability_triton.bls.policies.deadline.time", SimpleNamespace(monotonic=loop.time))
    yield loop
    loop.end_all()
    loop.close()
