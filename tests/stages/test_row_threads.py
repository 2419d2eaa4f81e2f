"""Rows of many batches on a few threads: each batch gets its own results, and no thread idles while a row waits."""

import threading
from queue import SimpleQueue

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from readability_triton.stages.row_threads import MOST_ROWS_PER_TASK, RowThreads

SAFETY_S = 5


@pytest.fixture
def new_threads():
    made = []

    def make(compute, threads: int) -> RowThreads:
        made.append(RowThreads(compute, threads))
        return made[-1]

    yield make
    for each in made:
        each.close()


def submit(threads: RowThreads, *arguments: Tensor) -> SimpleQueue:
    results: SimpleQueue = SimpleQueue()
    threads.submit(list(arguments), results.put)
    return results


def get(results: SimpleQueue):
    given = results.get(timeout=SAFETY_S)
    assert results.empty()
    return given


@settings(max_examples=40)
@given(
    batches=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3)), min_size=1, max_size=8),
    n_threads=st.integers(1, 4),
)
def test_every_batch_gets_the_results_of_its_own_rows_in_order(batches, n_threads) -> None:
    largest = []

    def double(arguments: list[Tensor]) -> list[Tensor]:
        largest.append(len(arguments[0]))
        return [arguments[0] * 2, arguments[0].sum(1, keepdim=True)]

    threads = RowThreads(double, n_threads)
    inputs = [torch.randint(100, (n_rows, width)) for n_rows, width in batches]
    for given_rows, results in [(each, submit(threads, each)) for each in inputs]:
        doubled, sums = get(results)
        assert torch.equal(doubled, given_rows * 2)
        assert torch.equal(sums, given_rows.sum(1, keepdim=True))
    threads.close()
    assert max(largest) <= MOST_ROWS_PER_TASK


def test_a_row_that_fails_fails_its_batch_and_no_other(new_threads) -> None:
    def check(arguments: list[Tensor]) -> list[Tensor]:
        if (arguments[0] < 0).any():
            raise ValueError("negative")
        return arguments

    threads = new_threads(check, 2)
    good, bad = submit(threads, torch.tensor([[1], [2]])), submit(threads, torch.tensor([[1], [-1], [2]]))
    assert torch.equal(get(good)[0], torch.tensor([[1], [2]]))
    assert isinstance(get(bad), ValueError)
    assert torch.equal(get(submit(threads, torch.tensor([[7]])))[0], torch.tensor([[7]]))


def test_a_thread_outlives_an_answer_that_cannot_be_sent(new_threads, capsys) -> None:
    threads = new_threads(lambda arguments: arguments, 1)

    def fail(_results: object) -> None:
        raise OSError("cannot send")

    threads.submit([torch.ones(1, 1)], fail)
    assert torch.equal(get(submit(threads, torch.ones(1, 1)))[0], torch.ones(1, 1))
    assert "cannot send" in capsys.readouterr().err


def test_no_thread_idles_while_a_row_of_another_batch_waits(new_threads) -> None:
    """Two threads, a batch of one slow row, and another batch: the second thread computes it meanwhile."""
    go, begun = threading.Event(), SimpleQueue()

    def compute(arguments: list[Tensor]) -> list[Tensor]:
        begun.put(int(arguments[0][0, 0]))
        if arguments[0][0, 0] == 0:
            assert go.wait(SAFETY_S)
        return arguments

    threads = new_threads(compute, 2)
    slow = submit(threads, torch.tensor([[0]]))
    assert begun.get(timeout=SAFETY_S) == 0
    for number in (1, 2, 3):
        get(submit(threads, torch.tensor([[number]])))
    assert slow.empty()
    go.set()
    get(slow)


def test_all_cores_are_for_a_row_that_finds_nothing_running_and_others_wait_for_it(new_threads) -> None:
    threads = new_threads(lambda arguments: arguments, 2)
    with threads.all_cores_if_idle() as idle:
        assert idle
        with threads.all_cores_if_idle() as second:
            assert not second
        waiting = submit(threads, torch.ones(1, 1))
        assert waiting.empty()
    get(waiting)


def test_each_thread_computes_on_one_core(new_threads) -> None:
    threads = new_threads(lambda arguments: [torch.full((len(arguments[0]), 1), torch.get_num_threads())], 2)
    assert set(get(submit(threads, torch.ones(9, 1)))[0].ravel().tolist()) == {1}
