"""Small batches through CUDA graphs: one launch for what is else some hundred kernels, each launched by itself."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]
"""Ids and mask, both INT64 [B, L], to scores FP32 [B, 1]."""

Record = Callable[[Score, Tensor, Tensor], tuple[Tensor, Callable[[], object]]]
"""Runs a function on tensors that stay where they are: its result, which stays too, and how to compute it anew."""

WARM_UPS = 4
"""Runs before one is recorded, in which libraries such as cuBLAS take memory of their own. TorchScript compiles nothing
in them: the drop-in turns its fuser off."""


class Recorded(NamedTuple):
    """A batch of one shape: what it reads, what it writes, and how to run it."""

    ids: Tensor
    mask: Tensor
    scores: Tensor
    replay: Callable[[], object]


class Graphs:
    """Scores of small batches, which are filled up with zeros to the next shape that was recorded.

    Args:
        score: what to record; it may ask nothing of the device.
        shapes: rows and widths to record.
        device: where.
        record: by default as CUDA graphs.
    """

    def __init__(
        self, score: Score, shapes: Iterable[tuple[int, int]], device: torch.device, record: Record | None = None
    ) -> None:
        record = record or CudaRecorder()
        self._recorded: dict[tuple[int, int], Recorded] = {}
        for shape in sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape)):
            ids, mask = (torch.zeros(shape, dtype=torch.long, device=device) for _ in range(2))
            self._recorded[shape] = Recorded(ids, mask, *record(score, ids, mask))
        self._most_rows = max((rows for rows, _ in self._recorded), default=0)

    def score(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]; None for a batch larger than what was recorded."""
        n_rows = ids.size(0)
        if not 0 < n_rows <= self._most_rows:
            return None
        position = torch.arange(1, ids.size(1) + 1, device=ids.device)
        longest = int((mask * position).amax())  # the one word that is asked of the device
        for (rows, width), recorded in self._recorded.items():
            if rows >= n_rows and width >= longest:
                return _replayed(recorded, ids[:, :longest], mask[:, :longest])
        return None


def record_module(module: torch.jit.ScriptModule, device: torch.device, record: Record | None = None) -> Graphs | None:
    """Graphs of a module for the shapes that it lists, as `LengthSorted` of `stages/encoder.py` does; None if none.

    Raises:
        RuntimeError: if one of them cannot be recorded; the module can be called as before.
    """
    shapes = getattr(module, "graph_shapes", [])
    if not shapes:
        return None
    module.whole = True
    try:
        return Graphs(module, shapes, device, record)
    finally:
        module.whole = False


def _replayed(recorded: Recorded, ids: Tensor, mask: Tensor) -> Tensor:
    for kept, given in ((recorded.ids, ids), (recorded.mask, mask)):
        kept.zero_()[: given.size(0), : given.size(1)].copy_(given)
    recorded.replay()
    return recorded.scores[: ids.size(0)].clone()


class CudaRecorder:
    """Records CUDA graphs, which share one pool of memory: they run one after another."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, score: Score, ids: Tensor, mask: Tensor) -> tuple[Tensor, Callable[[], object]]:
        """As PyTorch's notes on CUDA graphs say: warm up on a stream of its own, then record."""
        stream = torch.cuda.Stream(ids.device)
        stream.wait_stream(torch.cuda.current_stream(ids.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                score(ids, mask)
        torch.cuda.current_stream(ids.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            scores = score(ids, mask)
        return scores, graph.replay
