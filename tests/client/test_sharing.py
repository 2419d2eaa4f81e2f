"""One scorer for many threads, processes and event loops."""

import asyncio
import json
import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.scorer import Scorer

THREADS = 16


def texts_of(number):
    return ["a" * (number + 1), "b" * (2 * number + 1), "c", "d" * 5, "e" * 7]


def expected_of(number):
    return [(number + 1) / 2, (2 * number + 1) / 2, 0.5, 2.5, 3.5]


def test_threads_share_a_scorer(any_wire):
    with Scorer(url=any_wire.url) as scorer, ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda number: scorer.score(texts_of(number)).values.tolist(), range(200)))
    assert found == [expected_of(number) for number in range(200)]


def test_a_scorer_made_and_used_in_one_thread_may_be_used_in_another(any_wire):
    scorer, found = Scorer(url=any_wire.url), []
    scorer.score(texts_of(0))
    thread = threading.Thread(target=lambda: found.append(scorer.score(texts_of(1)).values.tolist()))
    thread.start()
    thread.join(30)
    scorer.close()
    assert found == [expected_of(1)]


@pytest.mark.parametrize("in_flight", [1, 3, 8])
def test_one_call_may_have_several_requests_under_way(any_wire, in_flight):
    texts = ["x" * (number % 17 + 1) for number in range(101)]
    done = []
    with Scorer(url=any_wire.url, batch_size=3, in_flight=in_flight) as scorer:
        values = scorer.score(texts, on_progress=done.append).values

    async def ask():
        async with AsyncScorer(url=any_wire.url, batch_size=3, in_flight=in_flight) as scorer:
            return (await scorer.score(texts)).values

    np.testing.assert_array_equal(values, [len(text) / 2 for text in texts])
    np.testing.assert_array_equal(asyncio.run(ask()), values)
    assert sum(done) == len(texts)


def test_an_async_scorer_may_be_made_without_a_loop_and_used_in_several_in_turn(any_wire, recwarn, caplog):
    scorer = AsyncScorer(url=any_wire.url)
    for number in range(3):
        found = asyncio.run(scorer.score(texts_of(number)))
        assert found.values.tolist() == expected_of(number)
    asyncio.run(scorer.close())
    assert caplog.messages == []


def test_an_async_scorer_may_be_used_in_loops_of_several_threads_at_once(any_wire):
    scorer = AsyncScorer(url=any_wire.url)

    async def ask(number):
        found = [(await scorer.score(texts_of(number))).values.tolist() for _ in range(10)]
        await scorer.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: asyncio.run(ask(number)), range(4)))
    assert found == [[expected_of(number)] * 10 for number in range(4)]


CHILDREN = """
import asyncio, json, multiprocessing, sys
from readability_triton.client import AsyncScorer, Scorer
from readability_triton.client.errors import ReadabilityError

url, used, kind = sys.argv[1:]
make = Scorer if kind == "Scorer" else AsyncScorer

def score(scorer, texts):
    result = scorer.score(texts)
    return (asyncio.run(result) if kind == "AsyncScorer" else result).values.tolist()

inherited = make(url=url)
if used == "used":
    score(inherited, ["parent"])

def child(number, results):
    try:
        found = score(inherited, ["x" * number]) + score(make(url=url), ["y" * number])
    except ReadabilityError as error:
        found = f"{type(error).__name__}: {error}"
    results.put((number, found))

context = multiprocessing.get_context("fork")
results = context.SimpleQueue()
children = [context.Process(target=child, args=(number, results)) for number in range(1, 9)]
for process in children:
    process.start()
found = dict(results.get() for _ in children)
for process in children:
    process.join()
    assert process.exitcode == 0
parent = score(inherited, ["still here"])
print(json.dumps([parent, [found[number] for number in range(1, 9)]]))
"""


def run_children(url, used, kind):
    command = [sys.executable, "-c", CHILDREN, url, used, kind]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("kind", ["Scorer", "AsyncScorer"])
@pytest.mark.parametrize("used", ["used", "unused"])
def test_forked_processes_score_over_http(http_wire, used, kind):
    parent, children = run_children(http_wire.url, used, kind)
    assert parent == [5.0]
    assert children == [[number / 2] * 2 for number in range(1, 9)]


@pytest.mark.parametrize("kind", ["Scorer", "AsyncScorer"])
def test_forked_processes_score_over_grpc_if_it_was_not_used_before(wire, kind):
    parent, children = run_children(wire.url, "unused", kind)
    assert parent == [5.0]
    assert children == [[number / 2] * 2 for number in range(1, 9)]


@pytest.mark.parametrize("kind", ["Scorer", "AsyncScorer"])
def test_over_grpc_used_before_the_fork_they_say_what_to_do(wire, kind):
    parent, children = run_children(wire.url, "used", kind)
    assert parent == [5.0]
    for message in children:
        assert message.startswith("ForkedProcessError: gRPC was used in process ")
        assert "use http://, or start workers by `spawn`" in message


def test_a_scorer_of_a_spawned_process_is_its_own(wire):
    with Scorer(url=wire.url) as scorer:
        scorer.score(["parent"])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(score_once, (wire.url,)) == [1.5]


def score_once(url):
    with Scorer(url=url) as scorer:
        return scorer.score(["abc"]).values.tolist()
