"""Stands for the models of the server: a text scores its length (bert-large) and its first byte (cuml)."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.request import Request
from readability_triton.bls.stages import StageError
from readability_triton.stages.blend import blend

REPOSITORY = Path(__file__).parents[2] / "model_repository"
N_FEATURES = 207
POISON = b"Something indigestible."


@dataclass(frozen=True)
class Call:
    """A call that a model got.

    Attributes:
        model: its name.
        texts: length and first byte of each row's text.
        at: when it began.
    """

    model: str
    texts: tuple[tuple[int, int], ...]
    at: float

    def __len__(self) -> int:
        return len(self.texts)


class Models:
    """`bls.lanes.CallModel`.

    Attributes:
        calls: in the order in which they began.
        most_in_flight: calls of a model at the same time.
        seconds_per_row, seconds_per_call: what a model takes.
        broken: models that fail.
        spoil: what a model's outputs are turned into.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.most_in_flight: Counter[str] = Counter()
        self.seconds_per_row: dict[str, float] = defaultdict(float)
        self.seconds_per_call: dict[str, float] = defaultdict(float)
        self.broken: set[str] = set()
        self.spoil: dict[str, Any] = {}
        self._in_flight: Counter[str] = Counter()

    def of(self, model: str) -> list[Call]:
        """The calls of one model."""
        return [call for call in self.calls if call.model == model]

    def rows(self, model: str) -> int:
        """Rows that one model computed."""
        return sum(map(len, self.of(model)))

    async def __call__(
        self, model: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], _trace: Any = None
    ) -> dict[str, NDArray[Any]]:
        facts = _facts(model, inputs)
        self.calls.append(Call(model, tuple(map(tuple, facts.tolist())), asyncio.get_running_loop().time()))
        self._in_flight[model] += 1
        self.most_in_flight[model] = max(self.most_in_flight[model], self._in_flight[model])
        await asyncio.sleep(self.seconds_per_call[model] + self.seconds_per_row[model] * len(facts))
        self._in_flight[model] -= 1
        if model in self.broken or (model == "cuml" and [len(POISON), POISON[0]] in facts.tolist()):
            raise StageError(model, "out of order")
        given = _answers(model, facts.astype(np.int64), inputs)
        spoiled = self.spoil.get(model, lambda outputs: outputs)(given)
        return {name: array for name, array in spoiled.items() if name in outputs}


def _facts(model: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Length and first byte of every row, whatever the model is given."""
    if model in ("preprocess", "ensemble_all"):
        texts = inputs["INPUT0" if model == "preprocess" else "excerpt"].ravel()
        return np.array([[len(text), text[0]] for text in texts])
    if model == "bert-large":
        return inputs["INPUT__0"] * inputs["INPUT__1"]
    if model == "postprocess":
        return np.hstack([inputs["BERT_LARGE_SCORE"], inputs["CUML_SCORE"]])
    return inputs["input__0"][:, :2]


def _answers(model: str, facts: NDArray[np.int64], inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    lengths, bytes_ = facts[:, :1].astype(np.float32), facts[:, 1:].astype(np.float32)
    if model == "preprocess":
        features = np.zeros((len(facts), N_FEATURES), np.float32)
        features[:, :2] = facts
        return {"BERT_IDS": facts, "BERT_AM": np.ones_like(facts), "TREE_FEATS": features}
    if model == "ensemble_all":
        return {"SCORE": blend(inputs["BERT_WEIGHT"], lengths, bytes_)}
    if model == "postprocess":
        return {"OUTPUT0": blend(inputs["BERT_WEIGHT_INPUT"], lengths, bytes_)}
    return {"OUTPUT__0": lengths} if model == "bert-large" else {"output__0": bytes_}


def request(*texts: bytes, weight: float = 0.5, **fields: Any) -> Request:
    """A request of these texts."""
    excerpts = np.array(texts, dtype=object).reshape(-1, 1)
    return Request(excerpts, np.full((len(texts), 1), weight, np.float32), **fields)


def truth(one: Request) -> list[list[float]]:
    """Blended length and first byte."""
    texts, weights = one.excerpts.ravel().tolist(), one.weights.ravel().tolist()
    return [[weight * len(text) + (1 - weight) * text[0]] for text, weight in zip(texts, weights, strict=True)]
