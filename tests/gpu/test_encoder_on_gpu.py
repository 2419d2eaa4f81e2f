"""The encoder on a GPU: CUDA graphs give what the module gives, and FP8 in hardware what the CPU computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from readability_triton.serving.repository import default_repository
from readability_triton.stages.device.graphs import record_module
from readability_triton.stages.encoder import load_encoder, predict, save_encoder, to_torchscript
from readability_triton.stages.tokens import tokenize
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import load_base_encoder
from readability_triton.training.bundle import DEFAULT_BUNDLE, Bundle

CUDA = torch.device("cuda")
ROUNDING = 0.01
"""Sums in bf16 are rounded otherwise for another padding."""


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_graphs_give_what_the_module_gives(texts: list[str], tokenizer: Tokenizer, n_rows: int) -> None:
    module = load_encoder(default_repository() / "bert-large" / "1" / "model.pt", "cuda")
    with torch.inference_mode():
        graphs = record_module(module, CUDA)
        assert graphs is not None
        for start in range(0, 40, n_rows):
            short = [text[:800] for text in texts[start : start + n_rows]]
            ids, mask = (torch.from_numpy(array).to(CUDA) for array in tokenize(short, tokenizer))
            scores = graphs.score(ids, mask)
            assert scores is not None
            torch.testing.assert_close(scores, module(ids, mask), atol=ROUNDING, rtol=0)


@pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 9), reason="this GPU does not multiply FP8"
)
def test_fp8_gives_what_the_cpu_gives(texts: list[str], tokenizer: Tokenizer, tmp_path: Path) -> None:
    module = to_torchscript(assemble(load_base_encoder(), Bundle.load(DEFAULT_BUNDLE)), "fp8")
    ids, mask = tokenize(texts[:32], tokenizer)
    save_encoder(module, tmp_path / "model.pt", "fp8")
    on_gpu = load_encoder(tmp_path / "model.pt", "cuda")
    with torch.inference_mode():
        scores = on_gpu(torch.from_numpy(ids).to(CUDA), torch.from_numpy(mask).to(CUDA)).cpu().numpy()
    np.testing.assert_allclose(scores, predict(module, ids, mask), atol=2 * ROUNDING)
