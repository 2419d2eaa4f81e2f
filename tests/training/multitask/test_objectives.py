import math

import pytest
import torch

from readability_triton.training.multitask.objectives import STEEPNESS, ranking, squared_error


def test_the_squared_error_is_over_known_targets_of_each_model():
    scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[0.0, math.nan, 1.0], [math.nan] * 3])
    loss = squared_error(scores, targets)
    assert loss.tolist() == [2.5, 0.0]
    loss.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]]


def test_the_ranking_loss_falls_as_the_easier_text_scores_higher():
    losses = [ranking(torch.tensor([[0.0, gap]])).item() for gap in (-1.0, 0.0, 0.5, 2.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[1] == pytest.approx(math.log(2) / STEEPNESS)
    assert losses[-1] < 1e-3
    assert losses[0] == pytest.approx(1.0, abs=0.01)


def test_pairs_are_the_first_and_the_second_half():
    scores = torch.tensor([[0.0, 5.0, 9.0, 9.0]])
    truth = (math.log1p(math.exp(-9 * STEEPNESS)) + math.log1p(math.exp(-4 * STEEPNESS))) / 2 / STEEPNESS
    assert ranking(scores).item() == pytest.approx(truth, abs=1e-6)
