"""The encoder by itself on a GPU, in this process: texts a second, launches, and which attention kernel runs.

Random weights of BERT-large's size, and the bundled encoder; lengths as CLEAR's excerpts have them. What is measured is
what the drop-in backend runs: TorchScript without its fuser, attention without cuDNN's kernels, CUDA graphs
for small batches (docs/gpu.md says why).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from readability_triton.bench.encoder import cut_into_batches, draw_ids
from readability_triton.stages.device.graphs import Score, record_module
from readability_triton.stages.encoder import load_encoder, save_encoder, to_torchscript
from readability_triton.stages.precision import Precision
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import load_base_encoder
from readability_triton.training.bundle import DEFAULT_BUNDLE, Bundle
from readability_triton.training.random_encoder import BERT_LARGE, random_encoder

BATCHES = (1, 8, 64, 512)
ROUNDS, SECONDS = 5, 1.0
PRODUCT = 8192
"""Rows and columns of the bf16 matrices whose product is the yardstick."""


@dataclass(frozen=True)
class Speed:
    """One encoder at one batch size.

    Attributes:
        encoder: its name.
        batch: texts.
        how: the module itself, or a CUDA graph.
        ms: the median over calls.
        texts_per_second: at that median.
        tflops: of the layers' products, real tokens only, in 10^12 a second.
        launches: kernels of a call; 0 where the profiler sees no GPU.
        attention: names of the attention kernels.
    """

    encoder: str
    batch: int
    how: str
    ms: float
    texts_per_second: float
    tflops: float
    launches: int
    attention: tuple[str, ...]


def main(arguments: list[str] | None = None) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(prog="python -m readability_triton.bench.gpu.encoder", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write figures")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, metavar="N")
    parser.add_argument("--layers", type=int, default=BERT_LARGE["num_hidden_layers"], help="of the random encoder")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a measurement, about")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("error: PyTorch sees no GPU", file=sys.stderr)
        return 1
    torch.jit.set_fusion_strategy([])
    torch.backends.cuda.enable_cudnn_sdp(False)
    figures: dict[str, Any] = {"torch": torch.__version__, "device": _name(device), "speeds": []}
    figures["product_tflops"] = products(device, options.seconds)
    print(
        f"{figures['device']}, PyTorch {figures['torch']}, products {figures['product_tflops']:.3g} TFLOP/s", flush=True
    )
    with torch.inference_mode(), TemporaryDirectory() as folder:
        for name, module, flop in encoders(options.layers, device, Path(folder)):
            for speed in speeds(name, module, flop, options.batches, device, options.seconds):
                figures["speeds"].append(asdict(speed))
                print(speed, flush=True)
                if options.json:
                    options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


def encoders(n_layers: int, device: torch.device, folder: Path) -> Iterator[tuple[str, Any, int]]:
    """Name, module and FLOP a token of each encoder."""
    precision: Precision = "bf16" if device.type == "cuda" else "fp32"
    bundled = assemble(load_base_encoder(), Bundle.load(DEFAULT_BUNDLE))
    for name, encoder in (
        (
            f"random weights, {n_layers} layers of {BERT_LARGE['hidden_size']}",
            random_encoder(BERT_LARGE | {"num_hidden_layers": n_layers}),
        ),
        (f"the bundle's, {len(bundled.layers)} layers", bundled),
    ):
        file = folder / "model.pt"
        save_encoder(to_torchscript(encoder, precision), file, precision)
        yield name, load_encoder(file, device.type), encoder.flop_per_token


def speeds(name: str, module: Any, flop: int, batches: list[int], device: torch.device, seconds: float) -> list[Speed]:
    """The module at every batch size, and CUDA graphs where they take the batch."""
    graphs = record_module(module, device) if device.type == "cuda" else None
    found = []
    for batch in batches:
        rows = draw_ids(batch, list(range(1000, 20000)))
        ids, mask = (torch.from_numpy(each).to(device) for each in cut_into_batches(rows, batch)[0])
        calls: dict[str, Score] = {"module": module}
        if graphs is not None and graphs.score(ids, mask) is not None:
            calls["CUDA graph"] = graphs.score  # type: ignore[assignment]
        for how, call in calls.items():
            ms = _median_ms(partial(call, ids, mask), device, seconds)
            launches, attention = kernels(partial(call, ids, mask), device)
            tflops = sum(map(len, rows)) * flop / ms / 1e9
            found.append(Speed(name, batch, how, ms, 1000 * batch / ms, tflops, launches, attention))
    return found


def products(device: torch.device, seconds: float) -> float:
    """Dense products of bf16 matrices, in 10^12 FLOP a second."""
    size = PRODUCT if device.type == "cuda" else PRODUCT // 16
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / _median_ms(lambda: left @ right, device, seconds) / 1e9


def kernels(call: Callable[[], object], device: torch.device) -> tuple[int, tuple[str, ...]]:
    """How many kernels a call launches, and the names of those that compute attention."""
    if device.type != "cuda":
        return 0, ()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        call()
        torch.cuda.synchronize()
    names = [event.name for event in profile.events() if event.device_type == torch.profiler.DeviceType.CUDA]
    launched = [name for name in names if not name.startswith(("Memcpy", "Memset"))]
    attention = {name[:60] for name in launched if any(word in name.lower() for word in ("fmha", "flash", "attention"))}
    return len(launched), tuple(sorted(attention))


def _median_ms(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    for _ in range(3):
        call()
    taken: list[float] = []
    while len(taken) < ROUNDS or sum(taken) < seconds:
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    sys.exit(main())
