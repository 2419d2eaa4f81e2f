import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import (
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerUnreachableError,
)

TEXTS = ["one", "three", "a longer text", "zwölf", "x", "another", "the last of them"]
NOT_READY = InferenceServerException("Request for unknown model: it is not ready", "StatusCode.UNAVAILABLE")
FAILED = InferenceServerException("out of memory", "StatusCode.INTERNAL")


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([len(text.encode()) for text in texts], dtype=np.float32)


@pytest.fixture
def score(async_scorer):
    """Score in a loop of its own."""

    def run(texts, weight=None, **options):
        async def ask():
            async with async_scorer(**options) as scorer:
                return await scorer.score(texts, weight)

        return asyncio.run(ask())

    return run


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text("abc ", max_size=9), max_size=20), batch_size=st.integers(1, 9), limit=st.integers(0, 9))
def test_scores_batches_and_names_are_those_of_the_synchronous_scorer(fake, score, scorer, texts, batch_size, limit):
    fake.max_batch_size = limit
    fake.infers.clear()
    expected = scorer(batch_size=batch_size).score(texts)
    sent = [request[:3] for request in fake.infers]
    fake.infers.clear()
    found = score(texts, batch_size=batch_size)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.answered_by == expected.answered_by
    assert [request[:3] for request in fake.infers] == sent


@pytest.mark.parametrize("weight", [None, 0.25, 0.0, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1]])
def test_the_weight_is_the_models_own_unless_one_is_given(score, weight):
    expected = np.asarray(0.5 if weight is None else weight, np.float32) * lengths(TEXTS)
    np.testing.assert_array_equal(score(TEXTS, weight).values, expected)


def test_a_model_without_a_weight_needs_one(fake, score):
    fake.parameters = {}
    with pytest.raises(ReadabilityError, match="pass bert_weight"):
        score(TEXTS)


def test_a_pipeline_that_is_not_ready_is_stood_in_for_once_a_request(fake, score):
    fake.refuse = lambda model, texts: NOT_READY if model == "bls_pipeline" and b"x" in texts else None
    scores = score(TEXTS)
    np.testing.assert_array_equal(scores.values, 0.5 * lengths(TEXTS))
    assert scores.answered_by == ("bls_pipeline",) * 4 + ("ensemble_all",) * 3
    assert [model for model, *_ in fake.infers] == ["bls_pipeline", "bls_pipeline", "ensemble_all"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InferenceServerException("row 1: text is empty", "400"), InvalidRequestError),
        (TimeoutError(), RequestTimeoutError),
        (FAILED, InferenceError),
    ],
)
def test_other_failures_are_raised_and_no_other_pipeline_is_asked(fake, score, error, expected):
    fake.refuse = lambda model, texts: error
    with pytest.raises(expected):
        score(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline"]


def test_with_both_pipelines_down_the_error_is_raised(fake, score):
    fake.refuse = lambda model, texts: NOT_READY
    with pytest.raises(ModelUnavailableError):
        score(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline", "ensemble_all"]


def test_without_another_pipeline_none_is_asked(fake, score):
    fake.refuse = lambda model, texts: NOT_READY
    with pytest.raises(ModelUnavailableError):
        score(TEXTS, fallback=None)
    assert len(fake.infers) == 1


def test_a_refused_row_is_counted_over_all_texts_of_the_call(fake, score):
    fake.refuse = lambda model, texts: (
        InferenceServerException("row 1: no", "400") if texts[0] == TEXTS[4].encode() else None
    )
    with pytest.raises(InvalidRequestError) as refused:
        score(TEXTS)
    assert refused.value.row == 5


def test_the_connection_is_closed_at_the_end_of_the_block(fake, score):
    score(TEXTS)
    assert fake.closed


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="HOST:PORT"):
        AsyncScorer(url="ftp://host")


class TestOverTheWire:
    @pytest.fixture
    def ask(self):
        def run(url, texts=TEXTS, **options):
            async def score():
                async with AsyncScorer(url=url, **options) as scorer:
                    return await asyncio.wait_for(scorer.score(texts), 30)

            return asyncio.run(score())

        return run

    def test_texts_arrive_and_scores_come_back(self, wire, ask):
        np.testing.assert_array_equal(ask(wire.url).values, 0.5 * lengths(TEXTS))

    def test_a_pipeline_that_is_down_is_stood_in_for(self, wire, ask):
        wire.down = {"bls_pipeline"}
        assert set(ask(wire.url).answered_by) == {"ensemble_all"}

    def test_many_calls_may_be_under_way_at_once(self, wire):
        async def score_all():
            async with AsyncScorer(url=wire.url) as scorer:
                return await asyncio.gather(*(scorer.score(["a" * n, "b" * n]) for n in range(1, 20)))

        found = asyncio.run(score_all())
        assert [scores.values.tolist() for scores in found] == [[n / 2, n / 2] for n in range(1, 20)]

    @pytest.mark.parametrize("call", ["ModelInfer", "ModelConfig"])
    def test_a_server_that_does_not_answer_in_time_is_given_up(self, wire, ask, call):
        wire.hangs = {call}
        with pytest.raises(RequestTimeoutError):
            ask(wire.url, timeout_s=0.2)

    @pytest.mark.parametrize("scheme", ["grpc", "http"])
    def test_where_nothing_listens_the_address_is_named(self, closed_port, ask, scheme):
        url = f"{scheme}://127.0.0.1:{closed_port}"
        with pytest.raises(ServerUnreachableError, match=f"no server at {url}"):
            ask(url)

    def test_an_http_server_that_never_answers_is_given_up(self, silent_port, ask):
        with pytest.raises(RequestTimeoutError):
            ask(f"http://127.0.0.1:{silent_port}", timeout_s=0.2)


def test_details_and_parameters_are_those_of_the_synchronous_scorer(fake, score, scorer):
    fake.refuse = lambda model, texts: NOT_READY if model == "bls_pipeline" and b"x" in texts else None
    asked = {"policy": "fallback"}
    one = score(TEXTS, 1.0, parameters=asked, details=True)
    requested = list(fake.requested)
    other = scorer(parameters=asked, details=True).score(TEXTS, 1.0)
    assert requested == fake.requested[len(requested) :]
    assert one.details.route == other.details.route
    for name in ("bert", "cuml", "degraded"):
        np.testing.assert_array_equal(getattr(one.details, name), getattr(other.details, name))
