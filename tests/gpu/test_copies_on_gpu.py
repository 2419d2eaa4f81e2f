"""From the text to the score no tensor visits the host: what a profiler saw being copied."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from readability_triton.serving.repository import default_repository
from readability_triton.stages.arrays import to_host
from readability_triton.stages.blend import blend
from readability_triton.stages.device.forest import DeviceForest
from readability_triton.stages.device.preprocess import DevicePreprocess
from readability_triton.stages.encoder import load_encoder

ROWS = 128
SIZES = 64
"""Bytes: a copy of no more is a number that the host must know, such as how many words there are."""


@pytest.fixture(scope="module")
def pipeline(preprocess_folder: Path):
    """All stages in this process, as the models run them."""
    preprocess = DevicePreprocess.load(preprocess_folder, 0, lambda _: None)
    encoder = load_encoder(default_repository() / "bert-large" / "1" / "model.pt", "cuda")
    forest = DeviceForest(default_repository() / "cuml" / "1" / "checkpoint.tl", 0)
    import cupy

    def score(texts: list[str]) -> np.ndarray:
        made = preprocess.prepare(texts)
        with torch.inference_mode():
            bert = encoder(torch.from_dlpack(made.ids), torch.from_dlpack(made.mask))
        weights = cupy.full((len(texts), 1), 0.5, np.float32)
        return to_host(blend(weights, cupy.from_dlpack(bert), forest.predict(made.features)))

    return score


def test_only_text_goes_in_and_only_scores_come_out(pipeline, texts, tmp_path: Path) -> None:
    chosen = texts[:ROWS]
    pipeline(chosen)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        pipeline(chosen)
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    copies = [(event["name"], event["args"]["bytes"]) for event in events if event.get("cat") == "gpu_memcpy"]
    assert copies, "the profiler saw nothing"
    out = [size for name, size in copies if "DtoH" in name and size > SIZES]
    # The scores, the rows' lengths by which the encoder cuts padding, and which rows the host must tokenise.
    assert sum(out) <= len(chosen) * (4 + 8 + 1)
    text = sum(len(each.encode("utf-32-le")) + len(each.encode()) for each in chosen)
    assert sum(size for name, size in copies if "HtoD" in name) <= 3 * text
