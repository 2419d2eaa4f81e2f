"""What the frozen lower layers make of a corpus: computed once, read in every epoch of every fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stages.encoder import PooledEncoder
from stages.tokens import tokenize
from training.compute import Compute

BATCH = 16


@dataclass(frozen=True)
class LowerStates:
    """Hidden states of N texts.

    Attributes:
        rows: for each text [tokens, hidden], on the host, in the type that is computed in.
        means: FP32 [N, layers * hidden], what `PooledEncoder.pool` gave before any fine-tuning.
    """

    rows: list[Tensor]
    means: NDArray[np.float32]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, INT64 [N]."""
        return np.array([len(row) for row in self.rows])

    def batch(self, rows: NDArray[np.int64], compute: Compute) -> tuple[Tensor, Tensor]:
        """Padded states [B, L, hidden] and mask INT64 [B, L] of these rows, on the device."""
        chosen = [self.rows[row] for row in rows]
        hidden = pad_sequence(chosen, batch_first=True)
        lengths = torch.tensor([len(row) for row in chosen])
        mask = (torch.arange(hidden.shape[1]) < lengths[:, None]).long()
        return hidden.to(compute.device), mask.to(compute.device)


def compute_lower_states(
    encoder: PooledEncoder,
    n_frozen: int,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    compute: Compute,
    advance: Callable[[int], None],
) -> LowerStates:
    """Run every text through the pretrained encoder; `advance` is told how many more are done."""
    encoder = compute.shadow(encoder)
    rows: list[Tensor] = [torch.empty(0)] * len(texts)
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
            advance(len(chosen))
    return LowerStates(rows, means)
