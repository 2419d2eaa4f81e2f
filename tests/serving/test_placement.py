import pytest

from serving import placement
from serving.errors import PlacementError
from serving.placement import Placement, placement_environment


@pytest.fixture(params=[[], ["NVIDIA H100"]], ids=["no GPU", "a GPU"])
def gpus(request, monkeypatch):
    monkeypatch.setattr(placement, "gpu_names", lambda: request.param)
    return request.param


def test_cpu_hides_the_gpus(gpus):
    assert placement_environment(Placement.CPU) == {"CUDA_VISIBLE_DEVICES": ""}


def test_auto_leaves_it_to_what_the_server_sees(gpus):
    assert placement_environment(Placement.AUTO) == {}


def test_gpu_is_refused_where_there_is_none_and_changes_nothing_where_there_is_one(gpus):
    if gpus:
        assert placement_environment(Placement.GPU) == {}
    else:
        with pytest.raises(PlacementError, match="--placement cpu runs the same models"):
            placement_environment(Placement.GPU)
