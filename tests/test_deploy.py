"""What the container gets: the same settings as `readability serve`, and configurations that fit a GPU."""

from pathlib import Path

import pytest

from readability_triton.ensemble.config import read_config
from readability_triton.serving.server import CUDA_POOL_BYTES

ROOT = Path(__file__).parents[1]
KEEPS_ON_GPU = {"bert-large", "cuml"}
"""Models that read tensors where they lie; `preprocess` reads text, which is on the host."""


def config(model: str):
    return read_config(ROOT / "model_repository" / model / "config.pbtxt")


@pytest.mark.parametrize("file", ["deploy/Dockerfile", "deploy/execution_environment.sh"])
def test_the_container_has_the_pool_of_serve_and_no_attention_that_plans_for_every_shape(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"--cuda-memory-pool-byte-size=0:{CUDA_POOL_BYTES}" in text
    assert "TORCH_CUDNN_SDPA_DEPRIORITIZED=1" in text


def test_models_that_read_tensors_as_numpy_get_them_on_the_host() -> None:
    """`as_numpy` of a tensor on the GPU raises, which would fail every request of the batch."""
    found = {path.parent.name for path in (ROOT / "model_repository").glob("*/config.pbtxt")}
    keeps = {name for name in found if "FORCE_CPU_ONLY_INPUT_TENSORS" in config(name).parameters}
    assert keeps == KEEPS_ON_GPU


@pytest.mark.parametrize("model", ["bls_pipeline", "postprocess"])
def test_models_that_compute_on_the_host_make_no_cuda_context(model: str) -> None:
    (group,) = config(model).instance_group
    assert group.Kind.Name(group.kind) == "KIND_CPU"


def test_the_forest_says_reshape_and_the_parameters_of_old_and_new_releases() -> None:
    (output,) = config("cuml").output
    assert list(output.reshape.shape) == [1]
    values = {key: config("cuml").parameters[key].string_value for key in ("output_class", "is_classifier")}
    assert values == {"output_class": "false", "is_classifier": "false"}
