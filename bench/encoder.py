"""The served encoder against plain transformers: the same batches through both, in turn."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import torch
import tritonclient.grpc as grpcclient
from numpy.typing import NDArray
from transformers import BertModel

from readability_triton.bench.timing import Samples, run_in_turn
from readability_triton.client.protocol import input_tensors
from readability_triton.stages.encoder import predict, to_torchscript
from readability_triton.stages.tokens import PAD_TO_MULTIPLE_OF, pad
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import BaseEncoder
from readability_triton.training.bundle import Bundle

PLAIN, SERVED = "plain transformers", "served"

MEAN_TOKENS, DEVIATION = 217.5, 25.2
SHORTEST, LONGEST = 158, 314
"""Lengths of the CLEAR training excerpts in WordPiece tokens, special ones included."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
Batch = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Ids and attention mask, both INT64 [B, L]."""


def draw_ids(n_texts: int, ids: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Stretches of `ids` with lengths drawn as CLEAR's excerpts have them: speed depends on nothing else."""
    rng = np.random.default_rng(seed)
    lengths = rng.normal(MEAN_TOKENS, DEVIATION, n_texts).round().clip(SHORTEST, LONGEST).astype(int)
    repeated = list(ids) * (1 + 2 * LONGEST // len(ids))
    starts = rng.integers(len(ids), size=n_texts)
    return [repeated[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def cut_into_batches(rows: Sequence[Sequence[int]], size: int, padded_to: int | None = None) -> list[Batch]:
    """Batches of `size` rows in the order given, padded to their longest row or to `padded_to`."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [pad(part, padded_to or max(map(len, part))) for part in parts]


def plain_transformers(bert: BertModel, batches: Mapping[str, Batch]) -> Callable[[str], None]:
    """All layers in FP32 with eager attention, and the mean over real tokens, as a model card would show it."""
    bert = bert.float().eval()
    bert.set_attn_implementation("eager")

    def call(name: str) -> None:
        ids, mask = map(torch.from_numpy, batches[name])
        with torch.inference_mode():
            hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
            torch.sum(hidden * mask[:, :, None], dim=1) / mask.sum(dim=1, keepdim=True)

    return call


def served_encoder(
    url: str, batches: Mapping[str, Batch], scores: dict[str, NDArray[np.float32]]
) -> Callable[[str], None]:
    """The model `bert-large` at `grpc://host:port`; it puts its answers into `scores`, FP32 [B, 1] a batch."""
    client = grpcclient.InferenceServerClient(url.removeprefix("grpc://"))

    def call(name: str) -> None:
        inputs = input_tensors(grpcclient, {f"INPUT__{index}": values for index, values in enumerate(batches[name])})
        scores[name] = client.infer("bert-large", inputs).as_numpy("OUTPUT__0")

    return call


class Measured(NamedTuple):
    """Samples of both arms, a request a batch; and the served scores, FP64 [N]."""

    samples: Mapping[str, Samples]
    scores: NDArray[np.float64]


def measure(
    base: BaseEncoder, ids: Sequence[Sequence[int]], batch: int, rounds: int, url: str, progress: Progress
) -> Measured:
    """Time the base encoder in plain transformers and the served one, batches in turn, after a warm-up."""
    plain, served = (
        {str(number): each for number, each in enumerate(cut_into_batches(ids, batch, width))}
        for width in (None, PAD_TO_MULTIPLE_OF)
    )
    scores: dict[str, NDArray[np.float32]] = {}
    arms = {PLAIN: plain_transformers(base.bert, plain), SERVED: served_encoder(url, served, scores)}
    for call in arms.values():
        call("0")
    with progress("encoding", rounds * len(plain) * len(arms)) as on_progress:
        samples = run_in_turn(arms, list(plain), rounds, on_progress)
    return Measured(samples, np.concatenate([scores[name] for name in served])[:, 0].astype(float))


def scores_in_fp32(base: BaseEncoder, bundle: Bundle, ids: Sequence[Sequence[int]], batch: int) -> NDArray[np.float64]:
    """Scores of the bundle's encoder in FP32, computed in this process: FP64 [N]."""
    encoder = to_torchscript(assemble(base, bundle), "fp32")
    return np.concatenate([predict(encoder, *each) for each in cut_into_batches(ids, batch)])[:, 0].astype(float)
