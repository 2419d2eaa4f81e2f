"""Small batches by recorded shapes, with a recorder for the CPU that computes anew into the same memory."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import BertModel

from readability_triton.stages.device.graphs import Graphs, Score, record_module
from readability_triton.stages.encoder import PooledEncoder, to_torchscript

SHAPES = [(2, 16), (1, 8), (1, 24), (4, 8)]
CPU = torch.device("cpu")


class Recorder:
    """Replays as a graph does: reads and writes the very tensors of the recording."""

    def __init__(self) -> None:
        self.replayed: list[tuple[int, ...]] = []

    def __call__(self, score: Score, ids: Tensor, mask: Tensor) -> tuple[Tensor, Callable[[], object]]:
        with torch.inference_mode():
            scores = score(ids, mask).clone()

        def replay() -> None:
            self.replayed.append(tuple(ids.shape))
            scores.copy_(score(ids, mask))

        return scores, replay


@pytest.fixture(scope="module")
def module(tiny_bert: BertModel, one_thread: None) -> torch.jit.ScriptModule:
    return to_torchscript(PooledEncoder(tiny_bert, (1, 3)).eval())


@pytest.fixture(scope="module")
def graphs(module: torch.jit.ScriptModule) -> Graphs:
    module.whole = True
    return Graphs(module, SHAPES, CPU, Recorder())


def batch(lengths: list[int], padding: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    numbers = np.random.default_rng(seed)
    ids = torch.zeros(len(lengths), max(lengths) + padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.from_numpy(numbers.integers(1, 30_000, length))
        mask[row, :length] = 1
    return ids, mask


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 40), st.integers(0, 99))
def test_scores_are_those_of_the_module_whatever_was_run_before(graphs, module, lengths, padding, seed) -> None:
    ids, mask = batch(lengths, padding, seed)
    with torch.inference_mode():
        scores, right = graphs.score(ids, mask), module(ids, mask)
    fits = any(rows >= len(lengths) and width >= max(lengths) for rows, width in SHAPES)
    assert (scores is not None) == fits
    if scores is not None:
        torch.testing.assert_close(scores, right, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [([8], (1, 8)), ([9], (1, 24)), ([3, 8], (2, 16)), ([3, 2, 8], (4, 8)), ([24], (1, 24)), ([1, 16], (2, 16))],
)
def test_the_smallest_shape_that_holds_a_batch_is_taken(module, lengths, shape) -> None:
    recorder = Recorder()
    module.whole = True
    with torch.inference_mode():
        Graphs(module, SHAPES, CPU, recorder).score(*batch(lengths, 5))
    assert recorder.replayed == [shape]


@pytest.mark.parametrize("lengths", [[25], [9, 17], [9] * 3, [1] * 5])
def test_a_larger_batch_is_left_to_the_module(graphs, lengths) -> None:
    assert graphs.score(*batch(lengths, 0)) is None


def test_scores_given_out_stay_when_the_next_batch_is_run(graphs) -> None:
    with torch.inference_mode():
        first = graphs.score(*batch([5], 0, 1))
        before = first.clone()
        graphs.score(*batch([5], 0, 2))
    assert torch.equal(first, before)


def test_nothing_recorded_leaves_all_to_the_module(module) -> None:
    assert Graphs(module, [], CPU, Recorder()).score(*batch([1], 0)) is None


def test_the_encoder_lists_shapes_of_up_to_1024_tokens(module) -> None:
    shapes = module.graph_shapes
    assert (1, 512) in shapes
    assert (2, 512) in shapes
    assert (4, 256) in shapes
    assert all(rows * width <= 1024 and width % 64 == 0 for rows, width in shapes)


def test_a_module_is_recorded_for_the_shapes_that_it_lists_and_left_as_it_was(tiny_bert: BertModel) -> None:
    module = to_torchscript(PooledEncoder(tiny_bert, (1, 3)).eval())
    recorder = Recorder()
    with torch.inference_mode():
        graphs = record_module(module, CPU, recorder)
        assert graphs is not None
        assert not module.whole
        graphs.score(*batch([100, 70], 9))
    assert recorder.replayed == [(2, 128)]


def test_a_module_that_lists_none_has_no_graphs() -> None:
    assert record_module(torch.jit.script(torch.nn.Linear(2, 1)), CPU, Recorder()) is None


def test_a_recording_that_fails_leaves_the_module_as_it_was(tiny_bert: BertModel) -> None:
    def fail(*_: object) -> tuple[Tensor, Callable[[], object]]:
        raise RuntimeError("operation not permitted when stream is capturing")

    module = to_torchscript(PooledEncoder(tiny_bert, (1, 3)).eval())
    with pytest.raises(RuntimeError, match="capturing"):
        record_module(module, CPU, fail)
    assert not module.whole


def test_a_module_computes_whole_batches_only_when_told_to(tiny_bert: BertModel) -> None:
    module = to_torchscript(PooledEncoder(tiny_bert, (1, 3)).eval())
    ids, mask = batch([3, 30, 7], 4)
    with torch.inference_mode():
        cut = module(ids, mask)
        module.whole = True
        torch.testing.assert_close(module(ids, mask), cut, atol=1e-5, rtol=0)
    assert not to_torchscript(PooledEncoder(tiny_bert, (1, 3)).eval()).whole
