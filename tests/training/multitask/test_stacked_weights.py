import pytest
import torch
from torch import nn

from readability_triton.training.multitask.stacked_weights import BETA_1, BETA_2, EPSILON, StackedWeights


def stacked(n_models: int = 2, averaging: float = 0.5, decay: float = 0.1) -> StackedWeights:
    torch.manual_seed(0)
    named = {"matrix": torch.randn(3, 4), "vector": torch.randn(4)}
    return StackedWeights(
        named,
        n_models,
        lambda name: 2.0 if name == "vector" else 1.0,
        lambda name: decay * (name == "matrix"),
        averaging,
        torch.float32,
    )


def loss(matrix: torch.Tensor, vector: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return ((x @ matrix + vector).square() - 1).square().sum()


def test_each_model_takes_the_steps_that_adamw_takes():
    weights = stacked()
    rates, factors = torch.tensor([0.01, 0.03]), torch.tensor([1.0, 0.5])
    single = []
    for model in range(2):
        parameters = [nn.Parameter(weights.view(name, weights.exact)[model].clone()) for name in ("matrix", "vector")]
        groups = [
            {"params": [parameters[0]], "lr": float(rates[model]), "weight_decay": 0.1},
            {"params": [parameters[1]], "lr": 2 * float(rates[model]), "weight_decay": 0.0},
        ]
        single.append((parameters, torch.optim.AdamW(groups, betas=(BETA_1, BETA_2), eps=EPSILON)))
    for step in range(5):
        x = torch.randn(2, 6, 3, generator=torch.manual_seed(step))
        for model, (parameters, optimizer) in enumerate(single):
            optimizer.zero_grad()
            (float(factors[model]) * loss(*parameters, x[model])).backward()
            optimizer.step()
        total = sum(
            loss(weights.computed["matrix"][model], weights.computed["vector"][model], x[model]) for model in (0, 1)
        )
        total.backward()
        weights.take_step(rates, factors)
    for model, (parameters, _) in enumerate(single):
        for name, parameter in zip(("matrix", "vector"), parameters, strict=True):
            torch.testing.assert_close(weights.computed[name][model], parameter, atol=1e-5, rtol=1e-4)


def test_gradients_gather_over_passes_and_are_zero_after_the_step():
    weights = stacked()
    for _ in range(2):
        weights.computed["vector"].sum().backward()
    assert weights.view("vector", weights.gradients).eq(2).all()
    assert weights.view("matrix", weights.gradients).eq(0).all()
    torch.testing.assert_close(weights.squared_gradient_norms(), torch.full((2,), 16.0))
    weights.take_step(torch.full((2,), 0.1), torch.ones(2))
    assert not weights.gradients.any()


def test_the_average_follows_the_weights_and_can_be_computed_with():
    weights = stacked(averaging=0.9)
    expected = weights.exact.clone()
    for step in range(1, 4):
        weights.computed["vector"].square().sum().backward()
        weights.take_step(torch.full((2,), 0.1), torch.ones(2))
        expected.lerp_(weights.exact, 1 - min(0.9, step / (step + 10)))
    torch.testing.assert_close(weights.average, expected)
    weights.compute_with(weights.average)
    torch.testing.assert_close(weights.computed["matrix"], weights.view("matrix", expected), check_stride=False)
    assert {name: value.shape for name, value in weights.averaged(1).items()} == {"matrix": (3, 4), "vector": (4,)}


def test_a_state_goes_on_as_if_it_had_never_stopped():
    def go_on(weights: StackedWeights, steps: int) -> StackedWeights:
        for _ in range(steps):
            loss(weights.computed["matrix"][0], weights.computed["vector"][0], torch.ones(2, 3)).backward()
            weights.take_step(torch.full((2,), 0.1), torch.ones(2))
        return weights

    whole, first, second = go_on(stacked(), 5), go_on(stacked(), 3), stacked()
    second.restore({name: value.clone() for name, value in first.state().items()}, 3)
    go_on(second, 2)
    assert torch.equal(whole.exact, second.exact)
    assert torch.equal(whole.average, second.average)


def test_one_models_start_can_be_another():
    weights = stacked()
    weights.set("vector", 1, torch.full((4,), 7.0))
    assert weights.computed["vector"][1].eq(7).all()
    assert not weights.computed["vector"][0].eq(7).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_to_compute_with_are_in_their_type_and_exact_ones_in_fp32(dtype):
    weights = StackedWeights({"a": torch.ones(2)}, 3, lambda _: 1.0, lambda _: 0.0, 0.9, dtype)
    assert weights.computed["a"].dtype == weights.gradients.dtype == dtype
    assert weights.exact.dtype == weights.average.dtype == torch.float32
