"""The encoder as a package of AOTInductor: its scores, and what the drop-in `pytorch` backend makes of it."""

import shutil

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from readability_triton.stages.encoder import PooledEncoder, predict, to_torchscript
from readability_triton.stages.package import arguments_of, device_of, load_package, save_package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="a package is compiled with g++, which is not here"),
]

CONFIG = {
    "max_batch_size": 8,
    "input": [{"name": f"INPUT__{number}", "data_type": "TYPE_INT64"} for number in range(2)],
    "output": [{"name": "OUTPUT__0", "data_type": "TYPE_FP32"}],
    "default_model_filename": "model.pt2",
}


@pytest.fixture(scope="module")
def encoder() -> PooledEncoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    return PooledEncoder(BertModel(config).eval(), (1, 2)).eval()


@pytest.fixture(scope="module")
def packaged(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "model.pt2"
    save_package(encoder, path)
    return path


def batch(rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows * 1000 + width)
    mask = (np.arange(width) < rng.integers(1, width + 1, (rows, 1))).astype(np.int64)
    return rng.integers(1, 200, (rows, width)), mask


@pytest.mark.parametrize(("rows", "width"), [(1, 2), (1, 77), (3, 40), (8, 512)])
def test_a_package_scores_as_torchscript_does(encoder, packaged, rows, width):
    package = load_package(packaged)
    np.testing.assert_allclose(
        predict(package, *batch(rows, width)), predict(to_torchscript(encoder), *batch(rows, width)), atol=1e-5
    )


def test_it_says_what_it_takes_and_what_it_is_compiled_for(packaged):
    package = load_package(packaged)
    assert (arguments_of(package), device_of(package)) == (2, "cpu")


def test_the_drop_in_serves_it(pb_utils, load_backend, encoder, packaged):
    model = load_backend("pytorch", CONFIG, lambda path: shutil.copy(packaged, path), "model.pt2")
    ids, mask = batch(1, 30)
    request = {"INPUT__0": torch.from_numpy(ids), "INPUT__1": torch.from_numpy(mask)}
    (response,) = model.execute([request])
    np.testing.assert_allclose(response.tensors["OUTPUT__0"], predict(encoder, ids, mask), atol=1e-5)
    model.finalize()


@pytest.mark.parametrize(
    ("inputs", "message"), [(CONFIG["input"][:1], "expects 1 inputs, model provides 2")], ids=["too few"]
)
def test_inputs_that_are_not_the_packages_are_refused(pb_utils, load_backend, packaged, inputs, message):
    with pytest.raises(pb_utils.TritonModelException, match=message):
        load_backend("pytorch", CONFIG | {"input": inputs}, lambda path: shutil.copy(packaged, path), "model.pt2")


def test_a_file_that_is_no_package_is_refused(pb_utils, load_backend):
    with pytest.raises(pb_utils.TritonModelException, match="failed to load model 'some'"):
        load_backend("pytorch", CONFIG, lambda path: path.write_bytes(b"nothing"), "model.pt2")
