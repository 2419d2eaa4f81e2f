import pytest
import torch

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.compute import Compute, choose_compute, cpu_multiplies_bf16

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def cuda(monkeypatch):
    """Say whether there is CUDA."""
    return lambda there: monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.fixture
def cpu(monkeypatch):
    """Say what the CPU can do."""
    return lambda **capabilities: monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.fixture
def unrounded(tiny) -> PooledEncoder:
    """An encoder whose weights are not all exact in bf16, left in training mode."""
    return PooledEncoder(tiny.bert, (1, 3)).train()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_shadow_has_the_weights_in_the_type_asked_for_and_the_linear_layer_in_fp32(unrounded, dtype):
    shadow = Compute(CPU, dtype).shadow(unrounded)
    for name, parameter in shadow.named_parameters():
        kept = torch.float32 if name.startswith("head.") else dtype
        assert parameter.dtype == kept, name
        assert torch.equal(parameter, unrounded.get_parameter(name).to(kept)), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_done_to_a_shadow_does_not_show_in_its_original(unrounded, dtype):
    before = {name: value.clone() for name, value in unrounded.state_dict().items()}
    shadow = Compute(CPU, dtype).shadow(unrounded)
    with torch.no_grad():
        for parameter in shadow.parameters():
            parameter.requires_grad_(requires_grad=False).fill_(7)
    for name, value in unrounded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in unrounded.parameters())


def test_a_shadow_has_no_dropout_and_leaves_its_originals_on(unrounded):
    assert not Compute(CPU, torch.float32).shadow(unrounded).training
    assert unrounded.training


def test_cuda_is_refused_where_there_is_none(cuda):
    cuda(there=False)
    with pytest.raises(ValueError, match="no CUDA device is seen by PyTorch"):
        choose_compute("cuda")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cuda_is_taken_where_there_is_one_and_in_bf16(cuda, device):
    cuda(there=True)
    assert choose_compute(device) == Compute(CUDA, torch.bfloat16)


@pytest.mark.parametrize(("device", "there"), [("auto", False), ("cpu", False), ("cpu", True)])
def test_the_cpu_is_taken_without_cuda_or_on_request(cuda, device, there):
    cuda(there=there)
    assert choose_compute(device).device == CPU


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_it_multiplies_it(cpu, capabilities, dtype):
    cpu(**capabilities)
    assert choose_compute("cpu").dtype == dtype


def test_this_cpu_can_be_asked():
    assert isinstance(cpu_multiplies_bf16(), bool)
