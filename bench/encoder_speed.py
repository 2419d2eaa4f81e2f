"""The served encoder against plain transformers: the same batches through both."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import tritonclient.grpc as grpcclient
from numpy.typing import NDArray
from transformers import BertModel

from readability_triton.client.protocol import input_tensors
from readability_triton.stages.tokens import pad

MEAN_TOKENS, DEVIATION = 217.5, 25.2
SHORTEST, LONGEST = 158, 314
"""Lengths of the CLEAR training excerpts in WordPiece tokens, special ones included."""

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
    """The model `bert-large` at `grpc://host:port`; what it answers is put into `scores`, FP32 [B, 1] a batch."""
    client = grpcclient.InferenceServerClient(url.removeprefix("grpc://"))

    def call(name: str) -> None:
        inputs = input_tensors(grpcclient, {f"INPUT__{index}": values for index, values in enumerate(batches[name])})
        scores[name] = client.infer("bert-large", inputs).as_numpy("OUTPUT__0")

    return call
