"""Where training computes, and in which type."""

import copy
from dataclasses import dataclass

import torch

from readability_triton.stages.encoder import PooledEncoder


@dataclass(frozen=True)
class Compute:
    """A device and the type of layers and hidden states on it; weights are kept in FP32 beside."""

    device: torch.device
    dtype: torch.dtype

    def shadow(self, encoder: PooledEncoder) -> PooledEncoder:
        """A copy of `encoder` to compute with."""
        return copy.deepcopy(encoder).to(self.device).compute_in(self.dtype).eval()


def choose_compute(device: str = "auto") -> Compute:
    """The device asked for, or CUDA where there is one; bf16 wherever the hardware multiplies it.

    Raises:
        ValueError: if CUDA is asked for and not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is seen by PyTorch")
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return Compute(torch.device("cuda"), torch.bfloat16)
    return Compute(torch.device("cpu"), torch.bfloat16 if cpu_multiplies_bf16() else torch.float32)


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has instructions for bf16 products; without, bf16 is slower than FP32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
