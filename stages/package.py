"""The encoder as a package of AOTInductor, `model.pt2`: TorchScript's successor in Triton's PyTorch backend.

A package is compiled for one kind of device, one architecture and one version of PyTorch. The slices of
`encoder.LengthSorted` are a loop over lengths, which cannot be exported: all rows of a batch are computed at the width
of the longest.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from readability_triton.stages.encoder import LONGEST, PooledEncoder

MOST_ROWS = 512
"""`max_batch_size` of `bert-large`."""

SUFFIX = ".pt2"


class _Cut(nn.Module):
    """Cut off what is padding in every row of a batch."""

    def __init__(self, scorer: nn.Module, longest: int) -> None:
        super().__init__()
        self.scorer, self.longest = scorer, longest

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores FP32 [B, 1] of ids and mask, both INT64 [B, L]."""
        width = (mask * torch.arange(1, ids.size(1) + 1)).amax().clamp(min=2).item()
        torch._check(width >= 2)  # what the exporter may assume of a number that only the data say
        torch._check(width <= ids.size(1))
        torch._check(width <= self.longest)
        scores: Tensor = self.scorer(ids[:, :width], mask[:, :width])
        return scores


def save_package(encoder: PooledEncoder, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Compile `encoder` for this machine's CPU: ids and mask, both INT64 [B, L], to scores FP32 [B, 1].

    Args:
        encoder: left as it is.
        path: of the package, which ends in .pt2.
        dtype: what embeddings and layers compute in.

    Raises:
        RuntimeError: if it cannot be compiled, as where there is no C++ compiler.
    """
    encoder = copy.deepcopy(encoder).eval().compute_in(dtype)
    ids = torch.ones(2, 16, dtype=torch.long)
    longest = encoder.embeddings.position_embeddings.num_embeddings
    shape = {0: Dim("rows", min=1, max=MOST_ROWS), 1: Dim("width", min=2, max=LONGEST)}
    with torch.no_grad():
        exported = torch.export.export(
            _Cut(encoder, longest), (ids, torch.ones_like(ids)), dynamic_shapes=(shape, shape)
        )
    torch._inductor.aoti_compile_and_package(exported, package_path=str(path))


def load_package(path: Path, runners: int = 1) -> Any:
    """What computes a package's scores, called as the module was.

    Args:
        path: of the package.
        runners: calls that it computes at the same time.

    Raises:
        RuntimeError: if it is no package, or none for this machine.
    """
    from torch._inductor.package import load_package as load  # takes a second, which TorchScript does without

    return load(str(path), num_runners=runners)


def device_of(package: Any) -> str:
    """The kind of device that a package is compiled for: `cpu` or `cuda`."""
    return str(package.get_metadata()["AOTI_DEVICE_KEY"])


def arguments_of(package: Any) -> int:
    """How many tensors a package's module takes."""
    given = torch.utils._pytree.treespec_loads(package.loader.get_call_spec()[0])
    return int(given.num_leaves)
