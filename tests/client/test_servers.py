"""Several servers: requests are shared out, one that dies loses none, and comes back."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import (
    InvalidRequestError,
    ModelUnavailableError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scorer import Scorer
from readability_triton.client.servers import LONGEST_OUT_S, OUT_S, PROBE_S, Server, Servers, pause_s
from tests.client.http_wire import HttpWire

TEXTS = ["x" * n for n in range(1, 100)]
EXPECTED = np.arange(1, 100) / 2


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def three():
    clock = Clock()
    made = [Server(name, name) for name in "abc"]
    return Servers(made, clock), made, clock


class TestChoice:
    def test_servers_take_turns_where_none_has_more_to_do(self, three):
        servers, made, _ = three
        assert {servers.next([]).url for _ in made} == set("abc")

    def test_the_one_with_the_fewest_requests_is_next(self, three):
        servers, (a, b, c), _ = three
        with servers.asking(a), servers.asking(b), servers.asking(b):
            assert {servers.next([]).url for _ in range(9)} == {"c"}
            with servers.asking(c), servers.asking(c):
                assert {servers.next([]).url for _ in range(9)} == {"a"}
        assert [each.in_flight for each in (a, b, c)] == [0, 0, 0]

    def test_one_that_failed_thousands_of_times_is_out_no_longer(self, three):
        servers, (a, *_), clock = three
        for _ in range(5000):
            servers.failed(a)
        clock.now += LONGEST_OUT_S
        assert servers.due([]) is a

    def test_one_that_failed_is_out_for_longer_each_time_and_is_probed_by_one_caller(self, three):
        servers, (a, *_), clock = three
        for number in range(12):
            servers.failed(a)
            out_s = min(OUT_S * 2**number, LONGEST_OUT_S)
            assert a not in {servers.next([]) for _ in range(9)}
            clock.now += out_s * 0.99
            assert servers.due([]) is None
            clock.now += out_s * 0.02
            assert servers.due([]) is a
            assert servers.due([]) is None
            clock.now += PROBE_S
        servers.answered(a)
        assert a in {servers.next([]) for _ in range(9)}

    def test_where_all_are_out_the_first_to_come_back_is_asked(self, three):
        servers, (a, b, c), clock = three
        for each in (b, a, c):
            servers.failed(each)
            clock.now += 0.01
        assert servers.next([]) is None
        assert servers.first_out([]) is b
        assert servers.first_out([b]) is a

    def test_pauses_double_to_a_limit(self):
        assert [pause_s(number) for number in (1, 2, 3, 20)] == [0.1, 0.2, 0.4, 5.0]


@pytest.fixture
def two():
    servers = [HttpWire(), HttpWire()]
    yield servers
    for server in servers:
        server.stop()


def score_synchronously(urls, **options):
    with Scorer(url=urls, **options) as scorer:
        return scorer.score(TEXTS).values


def score_asynchronously(urls, **options):
    async def ask():
        async with AsyncScorer(url=urls, **options) as scorer:
            return (await scorer.score(TEXTS)).values

    return asyncio.run(ask())


@pytest.fixture(params=[score_synchronously, score_asynchronously], ids=["synchronous", "asynchronous"])
def score(request):
    return request.param


def test_requests_are_shared_out(two, score):
    np.testing.assert_array_equal(score([each.url for each in two], in_flight=4), EXPECTED)
    assert min(len(each.requests) for each in two) >= 8
    assert sum(len(each.requests) for each in two) == 25


def test_protocols_may_be_mixed(two, wire, score):
    np.testing.assert_array_equal(score(f"{two[0].url},{wire.url}"), EXPECTED)
    assert 0 < len(two[0].requests) < 25


def test_one_where_nothing_listens_is_left_out(two, closed_port, score):
    urls = [f"http://127.0.0.1:{closed_port}", f"grpc://127.0.0.1:{closed_port}", two[0].url]
    np.testing.assert_array_equal(score(urls), EXPECTED)


def test_requests_of_one_that_drops_them_are_answered_by_the_other(two, score):
    two[0].drop = 10**9
    np.testing.assert_array_equal(score([each.url for each in two], in_flight=4), EXPECTED)
    assert len(two[1].requests) == 25


def test_one_that_hangs_costs_one_time_limit(two, score):
    two[0].delay_s = 60.0
    start = time.monotonic()
    np.testing.assert_array_equal(score([each.url for each in two], timeout_s=3), EXPECTED)
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(("status", "error"), [(503, ModelUnavailableError), (429, ServerBusyError)])
def test_the_other_answers_for_one_that_is_busy_or_not_ready(two, score, status, error):
    two[0].page = (status, b"")
    np.testing.assert_array_equal(score([each.url for each in two]), EXPECTED)
    two[1].page = (status, b"")
    with pytest.raises(error):
        score([each.url for each in two])


def test_a_text_that_is_refused_is_not_asked_of_the_other(two, scorer):
    with Scorer(url=[each.url for each in two]) as scorer, pytest.raises(InvalidRequestError, match="row 1"):
        scorer.score(["a", "forbidden"])
    assert sum(len(each.requests) for each in two) == 1


def test_where_none_answers_the_error_is_raised_and_later_calls_find_them_again(two):
    for each in two:
        each.drop = 10**9
    with Scorer(url=[each.url for each in two]) as scorer:
        with pytest.raises(ServerUnreachableError):
            scorer.score(TEXTS)
        for each in two:
            each.drop = 0
        np.testing.assert_array_equal(scorer.score(TEXTS).values, EXPECTED)


def test_one_that_is_back_gets_requests_again(two):
    with Scorer(url=[each.url for each in two]) as scorer:
        two[0].drop = 10**9
        scorer.score(TEXTS)
        two[0].drop = 0
        end = time.monotonic() + 30
        while not two[0].requests and time.monotonic() < end:
            np.testing.assert_array_equal(scorer.score(TEXTS).values, EXPECTED)
    assert two[0].requests


def test_none_is_lost_and_none_is_wrong_while_one_comes_and_goes(two):
    stop = threading.Event()

    def come_and_go():
        while not stop.wait(0.02):
            two[0].drop = 0 if two[0].drop else 10**9

    breaker = threading.Thread(target=come_and_go)
    breaker.start()
    try:
        with Scorer(url=[each.url for each in two]) as scorer, ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: scorer.score(["y" * n]).values.tolist(), range(1, 300)))
    finally:
        stop.set()
        breaker.join()
    assert found == [[n / 2] for n in range(1, 300)]


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_are_made_with_pauses_and_only_if_they_may_help(fake, scorer, monkeypatch, retries):
    pauses = []
    monkeypatch.setattr("readability_triton.client.scorer.time.sleep", pauses.append)
    fake.refuse = lambda model, texts: InferenceServerException("Exceeds maximum queue size", "503")
    with pytest.raises(ServerBusyError):
        scorer(retries=retries).score(["a"])
    assert len(fake.infers) == retries + 1
    assert pauses == [0.1, 0.2][:retries]
    fake.refuse = lambda model, texts: TimeoutError()
    with pytest.raises(Exception, match="in time"):
        scorer(retries=retries).score(["a"])
    assert len(fake.infers) == retries + 2
