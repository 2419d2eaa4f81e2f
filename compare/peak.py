"""How much of a chip's arithmetic a pipeline uses: tokens a second, by what the encoder multiplies for each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

DENSE_BF16_TFLOPS = {
    r"H200": 989,
    r"H100 (80GB HBM3|SXM)": 989,
    r"H100 NVL": 835,
    r"H100 PCIe": 756,
    r"A100": 312,
    r"L40S": 362,
    r"L4\b": 121,
    r"A10\b": 125,
}
"""Peak of the tensor cores without sparsity, by the GPU's name, from NVIDIA's data sheets."""


@dataclass(frozen=True)
class AtBatchSize:
    """One pipeline at one batch size.

    Attributes:
        batch: texts a request.
        latency_ms: the median over requests, in milliseconds.
        per_second: texts a second: the median over rounds.
        rounds: how many there were.
    """

    batch: int
    latency_ms: float
    per_second: float
    rounds: int


@dataclass(frozen=True)
class Use:
    """What a pipeline reaches at the batch size where it is fastest.

    Attributes:
        batch: texts a request.
        tokens_per_second: real tokens of the encoder, padding not counted.
        tflops: what the encoder's products with weights come to, in 10^12 a second.
        share_of_peak: of the chip's peak in bf16; None where that is not known.
    """

    batch: int
    tokens_per_second: float
    tflops: float
    share_of_peak: float | None

    def __str__(self) -> str:
        share = "" if self.share_of_peak is None else f", {self.share_of_peak:.1%} of the chip's peak in bf16"
        speed = f"{self.tokens_per_second:,.0f} tokens a second at batch size {self.batch}"
        return f"{speed}, {self.tflops:.3g} TFLOP/s{share}"


def best_use(rows: Sequence[AtBatchSize], tokens_a_text: float, flop_per_token: int, gpu: str | None) -> Use:
    """The use at the batch size of most texts a second.

    Args:
        rows: a pipeline's figures; at least one.
        tokens_a_text: on average.
        flop_per_token: of the encoder's products with weights.
        gpu: the name of the GPU that computes; None for a CPU, of which no peak is known.
    """
    best = max(rows, key=lambda row: row.per_second)
    tokens_per_second = best.per_second * tokens_a_text
    tflops = tokens_per_second * flop_per_token / 1e12
    peak = peak_tflops(gpu) if gpu else None
    return Use(best.batch, tokens_per_second, tflops, tflops / peak if peak else None)


def peak_tflops(gpu: str) -> int | None:
    """The GPU's peak in bf16, in 10^12 a second; None for one that is not in the table."""
    return next((peak for pattern, peak in DENSE_BF16_TFLOPS.items() if re.search(pattern, gpu)), None)
