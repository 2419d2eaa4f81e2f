"""Slot `bert-large`: a BERT encoder with one linear layer to a single value, as TorchScript.

`PooledEncoder` is what training knows and tracing records. `LengthSorted` wraps its trace for serving: rows are sorted
by length and computed in slices, so that padding costs next to nothing and memory is bounded for any batch.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertModel

MAX_TOKENS_PER_SLICE = 512
"""Rows times padded length of one forward pass on the CPU, where larger ones only add padding. Measured with two cores
and 64 excerpts of CLEAR's lengths: 34.8 excerpts a second with 512 to 2048, 28.9 one by one, 19.1 with 8192."""

MAX_TOKENS_PER_SLICE_CUDA = 65536
"""The same on a GPU, which wants large passes; it bounds memory, and is not measured yet."""


class PooledEncoder(nn.Module):
    """The lower layers of a BERT, means over real tokens of some of their outputs, and a linear layer.

    Args:
        bert: the encoder, built with ``attn_implementation="sdpa"`` or ``"eager"``.
        layers: which layers' outputs are averaged, 1 for the first; 0 for the embeddings. Layers above the highest are
            never computed.
    """

    def __init__(self, bert: BertModel, layers: tuple[int, ...]) -> None:
        super().__init__()
        if not layers or min(layers) < 0 or max(layers) > bert.config.num_hidden_layers:
            raise ValueError(f"layers {layers} are not among 0 to {bert.config.num_hidden_layers}")
        self.embeddings = bert.embeddings
        self.layers = nn.ModuleList(bert.encoder.layer[: max(layers)])
        self.pooled_layers = frozenset(layers)
        self.head = nn.Linear(len(self.pooled_layers) * bert.config.hidden_size, 1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
        return self.head(self.pool(ids, mask))

    def pool(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Means over real tokens, the chosen layers side by side, lowest first: FP32 [B, layers * hidden]."""
        hidden = self.embeddings(input_ids=ids)
        padding = (1.0 - mask[:, None, None, :].to(hidden.dtype)) * torch.finfo(hidden.dtype).min
        share = mask.to(hidden.dtype)
        share = (share / share.sum(1, keepdim=True).clamp(min=1.0))[:, None, :]
        pooled = [self._mean(0, share, hidden)]
        for number, layer in enumerate(self.layers, start=1):
            output = layer(hidden, padding)
            hidden = output[0] if isinstance(output, tuple) else output
            pooled.append(self._mean(number, share, hidden))
        return torch.cat([mean for mean in pooled if mean is not None], dim=1)

    def _mean(self, number: int, share: Tensor, hidden: Tensor) -> Tensor | None:
        return torch.bmm(share, hidden).squeeze(1) if number in self.pooled_layers else None


class LengthSorted(nn.Module):
    """Run `scorer` over slices of rows of similar length, padding cut off; the order of rows is kept.

    Written for TorchScript, whose compiler needs the plain loop.
    """

    def __init__(self, scorer: nn.Module, max_tokens: int, max_tokens_cuda: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.max_tokens = max_tokens
        self.max_tokens_cuda = max_tokens_cuda

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
        position = torch.arange(1, ids.size(1) + 1, device=ids.device)
        lengths = (mask * position).amax(1).clamp(min=1)
        longest_first = torch.argsort(lengths, descending=True)
        widths: list[int] = lengths[longest_first].tolist()
        scores = torch.empty(ids.size(0), 1, dtype=torch.float32, device=ids.device)
        max_tokens = self.max_tokens_cuda if ids.is_cuda else self.max_tokens
        start = 0
        while start < ids.size(0):
            width = widths[start]
            rows = longest_first[start : start + max(1, max_tokens // width)]
            scores[rows] = self.scorer(ids[rows, :width], mask[rows, :width]).float()
            start += rows.size(0)
        return scores


def to_torchscript(
    encoder: PooledEncoder,
    max_tokens: int = MAX_TOKENS_PER_SLICE,
    max_tokens_cuda: int = MAX_TOKENS_PER_SLICE_CUDA,
) -> torch.jit.ScriptModule:
    """Freeze `encoder` into the TorchScript module that is served as `model.pt`: (ids, mask) to scores."""
    encoder = encoder.eval()
    ids = torch.ones(2, 12, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    with torch.inference_mode(), warnings.catch_warnings():
        # Attention asks whether there is a mask at all: here there always is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(encoder, (ids, mask), check_trace=False)
    return torch.jit.freeze(torch.jit.script(LengthSorted(traced, max_tokens, max_tokens_cuda)).eval())


def load_encoder(path: Path, device: str = "cpu") -> torch.jit.ScriptModule:
    """Read `model.pt`.

    Raises:
        ValueError: if there is no such file.
        RuntimeError: if it is not TorchScript.
    """
    return torch.jit.load(str(path), map_location=device).eval()


def predict(encoder: nn.Module, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
    with torch.inference_mode():
        return encoder(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
