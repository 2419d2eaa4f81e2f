"""FP8 against exact arithmetic: the CPU runs the very operators that a GPU has in hardware."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from readability_triton.stages.fp8 import Fp8Linear, put_fp8

STEP = 2.0**-3
"""Between two neighbours of FP8, relative to the smaller."""


def linear(seed: int, inputs: int = 32, outputs: int = 48) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 7), st.sampled_from([1e-6, 1.0, 1e4]))
def test_products_are_as_near_as_rounding_both_sides_allows(seed: int, rows: int, length: int, size: float) -> None:
    exact = linear(seed)
    values = (torch.randn(rows, length, 32) * size).bfloat16()
    with torch.inference_mode():
        given, right = Fp8Linear(exact)(values).float(), exact(values.float())
        # Each factor is off by half a step, or a tiny part of its row's largest; the bias and the result by bf16.
        bound = (
            (values.float().abs() @ exact.weight.abs().t()) * (STEP * 1.1) + 0.01 * size + 0.01 * right.abs() + 0.002
        )
    assert given.shape == right.shape
    assert ((given - right).abs() <= bound).all()


def test_what_fp8_holds_exactly_stays_exact() -> None:
    exact = linear(1)
    with torch.no_grad():
        exact.weight.copy_(torch.randint(-1, 2, exact.weight.shape)).mul_(448)
        exact.weight[:, 0] = 448
        exact.bias.zero_()
    values = torch.randint(-1, 2, (3, 32)).float() * 448
    values[:, 0] = 448
    with torch.inference_mode():
        assert torch.equal(Fp8Linear(exact)(values.bfloat16()).float(), exact(values).bfloat16().float())


def test_a_token_does_not_depend_on_its_neighbours() -> None:
    module = Fp8Linear(linear(2))
    values = torch.randn(4, 9, 32).bfloat16()
    values[2] *= 1000
    with torch.inference_mode():
        batched = module(values)
        for row in range(4):
            assert torch.equal(batched[row], module(values[row : row + 1])[0])


def test_zeros_give_the_bias() -> None:
    exact = linear(3)
    with torch.inference_mode():
        given = Fp8Linear(exact)(torch.zeros(2, 32, dtype=torch.bfloat16))
    assert torch.equal(given, exact.bias.detach().bfloat16().expand(2, -1))


def test_every_linear_layer_within_is_replaced_and_nothing_else() -> None:
    module = nn.Sequential(nn.Sequential(linear(4), nn.GELU()), nn.LayerNorm(48), linear(5, 48, 16))
    put_fp8(module)
    assert [type(each).__name__ for each in module.modules()] == [
        "Sequential", "Sequential", "Fp8Linear", "GELU", "LayerNorm", "Fp8Linear",
    ]  # fmt: skip
