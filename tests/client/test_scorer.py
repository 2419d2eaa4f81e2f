import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from readability_triton.client.errors import (
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scorer import Scorer

TEXTS = ["one", "three", "a longer text", "zwölf", "x", "another", "the last of them"]
NOT_READY = InferenceServerException("Request for unknown model: it is not ready", "StatusCode.UNAVAILABLE")
FAILED = InferenceServerException("out of memory", "StatusCode.INTERNAL")
LATE = InferenceServerException("Deadline Exceeded", "StatusCode.DEADLINE_EXCEEDED")


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([len(text.encode()) for text in texts], dtype=np.float32)


def only(model: str, error: Exception):
    """Refuse with `error` whenever `model` is asked."""
    return lambda asked, *texts: error if asked == model else None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text("abc ", max_size=9), max_size=30), batch_size=st.integers(1, 9), limit=st.integers(0, 9))
def test_scores_come_in_the_order_of_the_texts_in_batches_that_the_model_takes(fake, scorer, texts, batch_size, limit):
    fake.max_batch_size = limit
    fake.infers.clear()
    scores = scorer(batch_size=batch_size).score(texts, 1.0)
    np.testing.assert_array_equal(scores.values, lengths(texts))
    assert [text for _, batch, _, _ in fake.infers for text in batch] == [text.encode() for text in texts]
    sizes = [len(batch) for _, batch, _, _ in fake.infers]
    size = min(batch_size, max(limit, 1))
    assert sizes == [size] * (len(texts) // size) + ([len(texts) % size] if len(texts) % size else [])


def test_the_first_pipeline_answers_everything_where_it_is_ready(fake, scorer):
    scores = scorer().score(TEXTS)
    assert scores.answered_by == ("bls_pipeline",) * len(TEXTS)
    assert {model for model, *_ in fake.infers} == {"bls_pipeline"}


def test_the_weight_is_the_models_own_unless_one_is_given(fake, scorer):
    np.testing.assert_array_equal(scorer().score(TEXTS).values, 0.5 * lengths(TEXTS))
    np.testing.assert_array_equal(scorer().score(TEXTS, 0.25).values, 0.25 * lengths(TEXTS))
    own = np.linspace(0, 1, len(TEXTS)).astype(np.float32)
    np.testing.assert_array_equal(scorer().score(TEXTS, own).values, own * lengths(TEXTS))
    np.testing.assert_array_equal(scorer().score(TEXTS, 0.0).values, 0 * lengths(TEXTS))


def test_a_model_without_a_weight_needs_one(fake, scorer):
    fake.parameters = {}
    with pytest.raises(ReadabilityError, match="pass bert_weight"):
        scorer().score(TEXTS)
    assert fake.infers == []
    np.testing.assert_array_equal(scorer().score(TEXTS, 1).values, lengths(TEXTS))


def test_as_many_weights_as_texts_are_needed(scorer):
    with pytest.raises(ValueError, match="7 texts but 2 weights"):
        scorer().score(TEXTS, [0.1, 0.2])


def test_no_texts_need_no_request(fake, scorer):
    scores = scorer().score([])
    assert len(scores.values) == len(scores.answered_by) == 0
    assert fake.infers == []


def test_the_model_is_asked_about_itself_only_once(fake, scorer):
    asking = scorer()
    asking.score(TEXTS)
    asking.score(TEXTS)
    assert asking.served_model().target_quantiles == (0, 50, 100)
    assert fake.described == ["bls_pipeline"]


def test_progress_is_reported_after_every_request(scorer):
    done = []
    scorer().score(TEXTS, on_progress=done.append)
    assert done == [4, 3]


def test_requests_carry_the_time_limit(fake, scorer):
    scorer(timeout_s=7.5).score(TEXTS)
    assert [limit for *_, limit in fake.infers] == [7.5, 7.5]


def test_every_request_has_an_id_of_its_own_which_its_error_has_too(fake, scorer):
    scorer().score(TEXTS)
    assert len(set(fake.request_ids)) == 2
    fake.refuse = only("bls_pipeline", FAILED)
    with pytest.raises(InferenceError) as failed:
        scorer().score(TEXTS)
    assert failed.value.request_id == fake.request_ids[-1]


def test_a_pipeline_that_is_not_ready_is_stood_in_for_once_a_request(fake, scorer):
    fake.refuse = only("bls_pipeline", NOT_READY)
    scores = scorer().score(TEXTS)
    np.testing.assert_array_equal(scores.values, 0.5 * lengths(TEXTS))
    assert scores.answered_by == ("ensemble_all",) * len(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline", "ensemble_all"] * 2
    for first, second in zip(fake.infers[::2], fake.infers[1::2], strict=True):
        assert first[1:] == second[1:]


def test_a_pipeline_that_fails_half_way_is_stood_in_for_from_there(fake, scorer):
    fake.refuse = lambda model, texts: NOT_READY if model == "bls_pipeline" and b"x" in texts else None
    scores = scorer().score(TEXTS)
    np.testing.assert_array_equal(scores.values, 0.5 * lengths(TEXTS))
    assert scores.answered_by == ("bls_pipeline",) * 4 + ("ensemble_all",) * 3


def test_the_other_pipeline_describes_itself_where_the_first_is_unknown(fake, scorer):
    fake.refuse_to_describe = only("bls_pipeline", NOT_READY)
    assert scorer().served_model().name == "ensemble_all"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InferenceServerException("row 1: text is empty", "400"), InvalidRequestError),
        (LATE, RequestTimeoutError),
        (FAILED, InferenceError),
        (TimeoutError("timed out"), RequestTimeoutError),
    ],
)
def test_other_failures_are_raised_and_no_other_pipeline_is_asked(fake, scorer, error, expected):
    fake.refuse = only("bls_pipeline", error)
    with pytest.raises(expected):
        scorer().score(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(NOT_READY, ModelUnavailableError), (ConnectionRefusedError(111, "x"), ServerUnreachableError)],
)
def test_with_both_pipelines_down_the_error_is_raised(fake, scorer, error, expected):
    fake.refuse = lambda model, texts: error
    with pytest.raises(expected):
        scorer().score(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline", "ensemble_all"]


@pytest.mark.parametrize("fallback", [None, "", "bls_pipeline"])
def test_without_another_pipeline_none_is_asked(fake, scorer, fallback):
    fake.refuse = only("bls_pipeline", NOT_READY)
    with pytest.raises(ModelUnavailableError):
        scorer(fallback=fallback).score(TEXTS)
    assert len(fake.infers) == 1


def test_the_pipelines_may_be_swapped(fake, scorer):
    fake.refuse = only("ensemble_all", NOT_READY)
    assert scorer(model_name="ensemble_all", fallback="bls_pipeline").score(["a"]).answered_by == ("bls_pipeline",)


def test_a_refused_row_is_counted_over_all_texts_of_the_call(fake, scorer):
    fake.refuse = lambda model, texts: (
        InferenceServerException(f"row {texts.index(b'another')}: no", "400") if b"another" in texts else None
    )
    with pytest.raises(InvalidRequestError) as refused:
        scorer().score(TEXTS)
    assert refused.value.row == TEXTS.index("another")


def test_the_connection_is_closed_at_the_end_of_the_block(fake, scorer):
    with scorer() as asking:
        asking.score(TEXTS)
        assert not fake.closed
    assert fake.closed


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="HOST:PORT"):
        Scorer(url="ftp://host")


class TestOverTheWire:
    def test_texts_and_weights_arrive_and_scores_come_back(self, wire):
        with Scorer(url=wire.url) as scorer:
            scores = scorer.score(TEXTS, [0.125] * len(TEXTS))
        np.testing.assert_array_equal(scores.values, 0.125 * lengths(TEXTS))

    def test_a_pipeline_that_is_down_is_stood_in_for(self, wire):
        wire.down = {"bls_pipeline"}
        with Scorer(url=wire.url) as scorer:
            assert set(scorer.score(TEXTS).answered_by) == {"ensemble_all"}

    def test_both_down_is_an_error_that_says_so(self, wire):
        wire.down = {"bls_pipeline", "ensemble_all"}
        with Scorer(url=wire.url) as scorer, pytest.raises(ModelUnavailableError, match="'ensemble_all' is not ready"):
            scorer.score(TEXTS)

    def test_a_refused_row_is_named(self, wire):
        with Scorer(url=wire.url) as scorer, pytest.raises(InvalidRequestError, match="row 6: text is forbidden"):
            scorer.score([*TEXTS[:6], "forbidden"])

    @pytest.mark.parametrize("call", ["ModelInfer", "ModelConfig"])
    def test_a_server_that_does_not_answer_in_time_is_given_up(self, wire, call):
        wire.hangs = {call}
        with Scorer(url=wire.url, timeout_s=0.2) as scorer, pytest.raises(RequestTimeoutError):
            scorer.score(TEXTS)

    @pytest.mark.parametrize("scheme", ["grpc", "http"])
    def test_where_nothing_listens_the_address_is_named(self, closed_port, scheme):
        url = f"{scheme}://127.0.0.1:{closed_port}"
        with Scorer(url=url) as scorer, pytest.raises(ServerUnreachableError, match=f"no server at {url}"):
            scorer.score(TEXTS)

    def test_an_http_server_that_never_answers_is_given_up(self, silent_port):
        url = f"http://127.0.0.1:{silent_port}"
        with (
            Scorer(url=url, timeout_s=0.2) as scorer,
            pytest.raises(RequestTimeoutError, match=f"no answer from {url}"),
        ):
            scorer.score(TEXTS)


def test_only_the_score_is_asked_for_unless_details_are_wanted(fake, scorer):
    assert scorer().score(TEXTS).details is None
    assert [(names, parameters) for _, names, parameters in fake.requested] == [(["SCORE"], None)] * 2


def test_details_come_in_the_order_of_the_texts(fake, scorer):
    scores = scorer(details=True).score(TEXTS, 1.0)
    np.testing.assert_array_equal(scores.details.bert, lengths(TEXTS) + 1)
    np.testing.assert_array_equal(scores.details.cuml, lengths(TEXTS) + 2)
    assert scores.details.route == tuple(str(value) for value in lengths(TEXTS))
    assert scores.details.degraded.tolist() == [False, True, False, True, False, True, False]


def test_request_parameters_go_to_the_first_pipeline_only(fake, scorer):
    fake.refuse = lambda model, texts: NOT_READY if model == "bls_pipeline" and b"x" in texts else None
    asked = {"policy": "deadline", "deadline_ms": 0.25}
    scores = scorer(parameters=asked, details=True).score(TEXTS, 1.0)
    assert [(model, parameters) for model, _, parameters in fake.requested] == [
        ("bls_pipeline", asked),
        ("bls_pipeline", asked),
        ("ensemble_all", None),
    ]
    assert scores.details.route[4:] == ("ensemble_all",) * 3
    assert np.isnan(scores.details.bert[4:]).all()
    assert not scores.details.degraded[4:].any()


def test_a_busy_server_is_not_asked_by_another_way(fake, scorer):
    fake.refuse = only("bls_pipeline", InferenceServerException("Exceeds maximum queue size", "StatusCode.UNAVAILABLE"))
    with pytest.raises(ServerBusyError, match="is busy"):
        scorer().score(TEXTS)
    assert [model for model, *_ in fake.infers] == ["bls_pipeline"]


MALFORMED = "incomplete string data for inference input 'excerpt', expecting string of length 99 but only 5 bytes"


@pytest.mark.parametrize("status", ["StatusCode.INVALID_ARGUMENT", "StatusCode.INTERNAL"])
def test_a_request_refused_for_its_neighbours_sake_is_sent_again(fake, scorer, status):
    refusals = iter([InferenceServerException(MALFORMED, status)] * 3)
    fake.refuse = lambda model, texts: next(refusals, None)
    np.testing.assert_array_equal(scorer(batch_size=8, timeout_s=1).score(TEXTS[:4], 1.0).values, lengths(TEXTS[:4]))
    assert [model for model, *_ in fake.infers] == ["bls_pipeline"] * 4


def test_it_is_not_sent_for_ever(fake, scorer):
    fake.refuse = only("bls_pipeline", InferenceServerException(MALFORMED, "400"))
    with pytest.raises(InvalidRequestError, match="incomplete string data"):
        scorer().score(TEXTS[:2])
    assert [model for model, *_ in fake.infers] == ["bls_pipeline"] * 4
