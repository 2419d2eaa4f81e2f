"""What the frozen lower layers make of a corpus: computed once, read in every epoch of every fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.stages.tokens import tokenize
from readability_triton.training.compute import Compute

BATCH = 16


@dataclass(frozen=True)
class LowerStates:
    """Hidden states of N texts.

    Attributes:
        tokens: of all texts one after the other [sum of lengths, hidden], on the host, in the type that is computed in.
        lengths: tokens of each text, INT64 [N].
        means: FP32 [N, layers * hidden], what `PooledEncoder.pool` gave before any fine-tuning.
    """

    tokens: Tensor
    lengths: NDArray[np.int64]
    means: NDArray[np.float32]

    @cached_property
    def rows(self) -> tuple[Tensor, ...]:
        """The states of each text [tokens, hidden]."""
        return self.tokens.split(self.lengths.tolist())

    def batch(self, rows: NDArray[np.int64], compute: Compute) -> tuple[Tensor, Tensor]:
        """Padded states [B, L, hidden] and mask INT64 [B, L] of these rows, on the device."""
        hidden = pad_sequence([self.rows[row] for row in rows], batch_first=True)
        mask = (torch.arange(hidden.shape[1]) < torch.from_numpy(self.lengths[rows])[:, None]).long()
        return hidden.to(compute.device), mask.to(compute.device)


def compute_lower_states(
    encoder: PooledEncoder,
    n_frozen: int,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    compute: Compute,
    on_progress: Callable[[int], None],
) -> LowerStates:
    """Run every text through the pretrained encoder; `on_progress` is called with the texts just done."""
    encoder = compute.shadow(encoder)
    nothing = torch.empty(0, encoder.head.in_features // len(encoder.pooled_layers), dtype=compute.dtype)
    rows = [nothing] * len(texts)
    means = np.empty((len(texts), encoder.head.in_features), dtype=np.float32)
    by_length = np.argsort([len(text) for text in texts], kind="stable")
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            chosen = by_length[start : start + BATCH]
            ids, mask = map(torch.from_numpy, tokenize([texts[row] for row in chosen], tokenizer))
            lengths = mask.sum(dim=1).tolist()
            ids, mask = (tensor[:, : max(lengths)].to(compute.device) for tensor in (ids, mask))
            hidden = encoder.lower(encoder.embeddings(input_ids=ids), mask, n_frozen)
            means[chosen] = encoder.pool(hidden, mask, n_frozen).float().cpu().numpy()
            for row, states, length in zip(chosen, hidden, lengths, strict=True):
                rows[row] = states[:length].clone().cpu()
            on_progress(len(chosen))
    return LowerStates(torch.cat([nothing, *rows]), np.array([len(row) for row in rows], dtype=np.int64), means)
