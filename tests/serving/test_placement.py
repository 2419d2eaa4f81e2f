from pathlib import Path

import pytest

from readability_triton.serving import placement
from readability_triton.serving.errors import PlacementError
from readability_triton.serving.placement import Placement, placement_environment

REPOSITORY = Path("model_repository")


@pytest.fixture(params=[["no NVIDIA GPU here"], ["not installed: cudf", "no CUDA"], []], ids=["no GPU", "half", "all"])
def missing(request, monkeypatch):
    monkeypatch.setattr(placement, "missing_requirements", lambda repository: request.param)
    return request.param


def test_cpu_hides_the_gpus(missing):
    assert placement_environment(Placement.CPU, REPOSITORY) == {"CUDA_VISIBLE_DEVICES": ""}


def test_auto_is_the_gpu_where_nothing_is_missing_for_it(missing):
    assert placement_environment(Placement.AUTO, REPOSITORY) == ({"CUDA_VISIBLE_DEVICES": ""} if missing else {})


def test_gpu_names_all_that_is_missing_and_else_changes_nothing(missing):
    if not missing:
        assert placement_environment(Placement.GPU, REPOSITORY) == {}
        return
    with pytest.raises(PlacementError, match="--placement cpu runs the same models") as caught:
        placement_environment(Placement.GPU, REPOSITORY)
    assert all(line in str(caught.value) for line in missing)
