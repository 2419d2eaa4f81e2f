"""Slot `bert-large`: a BERT encoder with one linear layer to a single value, as TorchScript.

`PooledEncoder` is what training knows and tracing records. `LengthSorted` wraps its trace for serving: rows are sorted
by length and computed in slices, so that padding costs next to nothing and memory is bounded for any batch.
"""

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertModel

from readability_triton.stages.counts import CountsHead, TokenCounts
from readability_triton.stages.fp8 import put_fp8
from readability_triton.stages.precision import NOTE, Precision

LONGEST = 512
"""Tokens of a row, of what BERT was trained on."""

MAX_TOKENS_PER_SLICE = 512
"""Rows times padded length of one forward pass on the CPU, where larger ones only add padding. Measured with two cores
and 64 excerpts of CLEAR's lengths: 34.8 excerpts a second with 512 to 2048, 28.9 one by one, 19.1 with 8192."""

ROW_BY_ROW = 1
"""For all but `fp32` on the CPU. In a slice of several rows a row's score would depend on its neighbours: by up to
0.002 in bf16, whose sums are rounded in another order, and 0.12 in int8, whose steps are set for a whole slice. Alone
it is the same to the last bit, whatever it is batched with and on however many threads."""

MAX_TOKENS_PER_SLICE_CUDA = 16384
"""The same on a GPU, which wants large passes; it bounds memory too. Of 512 excerpts of CLEAR's lengths this leaves 4 %
of padding in eight passes (8192: 2 % in 15; 32768: 8 % in four; 65536: 16 % in two). An encoder of BERT-large's size
gives 2,916 texts a second with it on an H200, 2,609 with 65536: docs/gpu.md."""

GRAPH_ROWS, GRAPH_TOKENS, GRAPH_STEP = (1, 2, 4), 1024, 64
"""Batches that a GPU may run as a CUDA graph: of so many rows, with so many tokens at most, widths in such steps.
Larger ones keep a GPU busy without. The served encoder takes 0.44 ms for one text with a graph on an H200, 1.9 ms
without: docs/gpu.md."""

FP8_PARTS = ("intermediate", "output")
"""Of a layer, what is computed in FP8: the feed-forward products, two thirds of all. With attention's the RMSE of the
bundled encoder on its 2,834 training rows grows by 0.0062, without by 0.0024; 0.005 is allowed."""

WIDTH_STEP = 8
"""Tokens that a slice's width is rounded up to. PyTorch keeps some 2 MB for every width that it has computed: after
rows of 125 lengths a process held 536 MB, of nine widths 312 MB. Costs 2 % of computing at CLEAR's lengths."""


class PooledEncoder(nn.Module):
    """The lower layers of a BERT, means over real tokens of some of their outputs, and a linear layer.

    With `counts`, a small layer over means and counts adds to the linear layer's score.

    Args:
        bert: the encoder, built with ``attn_implementation="sdpa"`` or ``"eager"``.
        layers: which layers' outputs are averaged, 1 for the first; 0 for the embeddings. Layers above the highest are
            never computed.
        counts: what counts tokens; None to score by the means alone.
    """

    def __init__(self, bert: BertModel, layers: tuple[int, ...], counts: TokenCounts | None = None) -> None:
        super().__init__()
        if not layers or min(layers) < 0 or max(layers) > bert.config.num_hidden_layers:
            raise ValueError(f"layers {layers} are not among 0 to {bert.config.num_hidden_layers}")
        self.embeddings = bert.embeddings
        self.layers = nn.ModuleList(bert.encoder.layer[: max(layers)])
        self.pooled_layers = frozenset(layers)
        self.head = nn.Linear(len(self.pooled_layers) * bert.config.hidden_size, 1)
        self.counts = counts
        self.counts_head = None if counts is None else CountsHead(self.head.in_features)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
        return self.score(self.pool(self.embeddings(input_ids=ids), mask), ids, mask)

    def score(self, means: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of means, as `pool` gives them, and of the ids and mask that they were made from."""
        scores = self.head(means)
        if self.counts is None or self.counts_head is None:
            return scores
        return scores + self.counts_head(means, self.counts(ids, mask))

    @property
    def flop_per_token(self) -> int:
        """Multiplications and additions with the layers' weights for a token; attention's own, some 3 %, left out."""
        return 2 * sum(each.weight.numel() for each in self.layers.modules() if isinstance(each, nn.Linear))

    def lower(self, hidden: Tensor, mask: Tensor, n_layers: int) -> Tensor:
        """What the first `n_layers` layers make of the embeddings [B, L, hidden] under a mask INT64 [B, L]."""
        padding = _padding(mask, hidden.dtype)
        for layer in self.layers[:n_layers]:
            hidden = _output(layer(hidden, padding))
        return hidden

    def pool(self, hidden: Tensor, mask: Tensor, computed: int = 0) -> Tensor:
        """Means over real tokens, the chosen layers side by side, lowest first: FP32 [B, layers * hidden].

        Args:
            hidden: what the first `computed` layers gave, [B, L, hidden]; for 0 the embeddings.
            mask: INT64 [B, L].
            computed: how many layers are done; none below may be among the chosen ones.
        """
        padding = _padding(mask, hidden.dtype)
        share = mask.float()
        share = (share / share.sum(1, keepdim=True).clamp(min=1.0))[:, None, :]
        pooled = [self._mean(computed, share, hidden)]
        for number, layer in enumerate(self.layers[computed:], start=computed + 1):
            hidden = _output(layer(hidden, padding))
            pooled.append(self._mean(number, share, hidden))
        return torch.cat([mean for mean in pooled if mean is not None], dim=1)

    def compute_in(self, dtype: torch.dtype) -> "PooledEncoder":
        """Cast embeddings and layers; the linear layer stays in FP32."""
        self.embeddings.to(dtype)
        self.layers.to(dtype)
        return self

    def _mean(self, number: int, share: Tensor, hidden: Tensor) -> Tensor | None:
        return torch.bmm(share, hidden.float()).squeeze(1) if number in self.pooled_layers else None


def _padding(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return (1.0 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


def _output(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


class LengthSorted(nn.Module):
    """Run `scorer` over slices of rows of similar length, padding cut off; the order of rows is kept.

    Written for TorchScript, whose compiler needs the plain loop.

    Attributes:
        graph_shapes: rows and widths of batches for which a CUDA graph pays. Smaller ones may be filled up with zeros,
            which change no other row's score.
        whole: to be set while a graph is recorded: a batch is computed in one pass, padding and all, so that nothing is
            asked of the device, which a graph cannot hold.
    """

    graph_shapes: list[tuple[int, int]]
    whole: bool

    def __init__(self, scorer: nn.Module, max_tokens: int, max_tokens_cuda: int) -> None:
        super().__init__()
        self.width_step = WIDTH_STEP
        self.scorer = scorer
        self.max_tokens = max_tokens
        self.max_tokens_cuda = max_tokens_cuda
        self.whole = False
        self.graph_shapes = [
            (rows, width)
            for rows in GRAPH_ROWS
            for width in range(GRAPH_STEP, min(GRAPH_TOKENS // rows, LONGEST) + 1, GRAPH_STEP)
        ]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
        to_step = -ids.size(1) % self.width_step
        ids, mask = nn.functional.pad(ids, [0, to_step]), nn.functional.pad(mask, [0, to_step])
        order = torch.arange(ids.size(0), device=ids.device)
        widths: list[int] = [ids.size(1)] * ids.size(0)
        max_tokens = ids.numel()
        if not self.whole:
            position = torch.arange(1, ids.size(1) + 1, device=ids.device)
            lengths = (mask * position).amax(1).clamp(min=1)
            order = torch.argsort(lengths, descending=True)
            sorted_widths: list[int] = lengths[order].tolist()
            widths = sorted_widths
            max_tokens = self.max_tokens_cuda if ids.is_cuda else self.max_tokens
        scores = torch.empty(ids.size(0), 1, dtype=torch.float32, device=ids.device)
        start = 0
        while start < ids.size(0):
            width = -(-widths[start] // self.width_step) * self.width_step
            rows = order[start : start + max(1, max_tokens // width)]
            scores[rows] = self.scorer(ids[rows, :width], mask[rows, :width]).float()
            start += rows.size(0)
        return scores


def to_torchscript(
    encoder: PooledEncoder,
    precision: Precision = "fp32",
    max_tokens: int | None = None,
    max_tokens_cuda: int = MAX_TOKENS_PER_SLICE_CUDA,
) -> torch.jit.ScriptModule:
    """Freeze `encoder` into the TorchScript module that is served as `model.pt`: (ids, mask) to scores.

    Args:
        encoder: left as it is.
        precision: what the layers compute in.
        max_tokens: rows times padded length of one forward pass on the CPU; by default what suits the precision.
        max_tokens_cuda: the same on a GPU.
    """
    max_tokens = max_tokens or (MAX_TOKENS_PER_SLICE if precision == "fp32" else ROW_BY_ROW)
    encoder = _in_precision(encoder.eval(), precision)
    ids = torch.ones(2, 12, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    with torch.inference_mode(), warnings.catch_warnings():
        # Attention asks whether there is a mask at all: here there always is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(encoder, (ids, mask), check_trace=False)
    module = torch.jit.script(LengthSorted(traced, max_tokens, max_tokens_cuda)).eval()
    return torch.jit.freeze(module, preserved_attrs=["graph_shapes", "whole"])


def _in_precision(encoder: PooledEncoder, precision: Precision) -> PooledEncoder:
    if precision in ("bf16", "fp8"):
        encoder = copy.deepcopy(encoder).compute_in(torch.bfloat16)
    if precision == "fp8":
        for layer in encoder.layers:
            for part in FP8_PARTS:
                put_fp8(layer.get_submodule(part))
    if precision == "int8":
        encoder = copy.deepcopy(encoder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated in favour of torchao, whose operators native LibTorch lacks
            torch.ao.quantization.quantize_dynamic(encoder.layers, {nn.Linear}, inplace=True)
    return encoder


def save_encoder(module: torch.jit.ScriptModule, path: Path, precision: Precision) -> None:
    """Write `model.pt`, with a note of its precision that Triton passes over."""
    torch.jit.save(module, str(path), _extra_files={NOTE: precision})


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
