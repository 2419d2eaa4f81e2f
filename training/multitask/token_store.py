"""The composed texts on the device that computes: a batch of any texts is gathered there, without the host's tokens."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.stages.counts import TokenCounts
from readability_triton.stages.encoder import LONGEST
from readability_triton.training.multitask.compose import ComposedTexts

WIDTH_STEP = 16
"""Tokens that a width is rounded up to; fused attention wants masks of such widths."""


@dataclass(frozen=True)
class Vocabulary:
    """How an encoder's ids follow from those that the texts were composed with.

    Attributes:
        offset: added to every id; MPNet's vocabulary is BERT's with four tokens before it.
        first, last: the ids at the beginning and the end of every text.
    """

    offset: int
    first: int
    last: int


BERT = Vocabulary(0, 101, 102)
MPNET = Vocabulary(4, 0, 2)


class TokenStore:
    """Batches of composed texts, by their numbers.

    Args:
        texts: the texts, composed with BERT's uncased vocabulary.
        vocabulary: of the encoder that reads them.
        counts: over BERT's ids.
        device: where batches are made.
        longest: tokens that the encoder takes; longer texts are cut.
    """

    def __init__(
        self,
        texts: ComposedTexts,
        vocabulary: Vocabulary,
        counts: TokenCounts,
        device: torch.device,
        longest: int = LONGEST,
    ) -> None:
        self.n_texts, self._vocabulary, self._longest = len(texts.kind), vocabulary, longest
        self.lengths = np.minimum(texts.lengths, longest)
        sizes = np.diff(texts.sentences)[texts.parts]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        flat = texts.tokens[within + np.repeat(texts.sentences[texts.parts], sizes)]
        bodies = np.add.reduceat(sizes, texts.starts[:-1])
        self._flat = torch.from_numpy(flat).to(device)
        self._starts = torch.from_numpy(np.cumsum(bodies) - bodies).to(device)
        self._lengths = torch.from_numpy(self.lengths).to(device)
        self._counts, self.device = counts.to(device), device

    def batch(self, texts: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids INT64 and mask BOOL [..., L], counts FP32 [..., 4], of texts INT64 [...]."""
        width = min(self._longest, -(-int(self.lengths[texts].max()) // WIDTH_STEP) * WIDTH_STEP)
        rows = torch.from_numpy(np.ascontiguousarray(texts)).to(self.device)
        at = torch.arange(width, device=self.device)
        n_tokens = self._lengths[rows][..., None]
        mask = at < n_tokens
        inner = self._flat[(self._starts[rows][..., None] + at - 1).clamp(0, len(self._flat) - 1)]
        is_body = mask & (at > 0) & (at < n_tokens - 1)
        flat_shape = (-1, width)
        counts = self._counts(inner.reshape(flat_shape), is_body.reshape(flat_shape).long()).view(*texts.shape, -1)
        ids = torch.where(at == 0, self._vocabulary.first, inner + self._vocabulary.offset)
        ids = torch.where(at == n_tokens - 1, self._vocabulary.last, ids)
        return torch.where(mask, ids, self._vocabulary.last), mask, counts
