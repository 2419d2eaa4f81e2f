"""A bad request gets an error that names row and reason; its neighbours get their scores."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.scorer import Scorer
from readability_triton.stages.pipeline import InProcessPipeline

GOOD = "The old man walked down to the sea."
BAD_TEXTS = {
    "not UTF-8": (b"caf\xe9 \xff", r"not UTF-8: .* at byte 3"),
    "surrogate half": (b"\xed\xa0\x80", "not UTF-8"),
    "cut short": ("é".encode()[:1], "not UTF-8: unexpected end of data"),
    "empty": (b"", "text is empty"),
    "white space": (" \t\n\u2003 ".encode(), "only white space"),
}
BAD_WEIGHTS = {"above": 1.0001, "below": -0.0001, "nan": float("nan"), "infinite": float("inf")}

bad_text = pytest.mark.parametrize(("text", "reason"), BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
bad_weight = pytest.mark.parametrize("weight", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS.keys())


@bad_text
def test_only_the_bad_text_is_named(scorer: Scorer, text: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        scorer.score([text], 0.5)
    assert caught.value.row == 0


@bad_text
def test_a_bad_text_beside_good_rows_is_named_by_its_row(scorer: Scorer, text: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        scorer.score([GOOD, GOOD, text, GOOD], 0.5)
    assert caught.value.row == 2


@bad_weight
def test_a_bad_weight_is_named_by_its_row(scorer: Scorer, weight: float) -> None:
    with pytest.raises(InvalidRequestError, match=r"blend weight .* is not in \[0, 1\]") as caught:
        scorer.score([GOOD, GOOD], [0.5, weight])
    assert caught.value.row == 1


def test_the_row_is_counted_over_all_requests_of_a_call(url: str) -> None:
    with Scorer("bls_pipeline", None, url, batch_size=2) as scorer, pytest.raises(InvalidRequestError) as caught:
        scorer.score([GOOD, GOOD, GOOD, GOOD, GOOD, ""], 0.5)
    assert caught.value.row == 5


@bad_text
def test_requests_in_flight_beside_a_bad_one_get_their_scores(
    scorer: Scorer, truth: InProcessPipeline, text: bytes, reason: str
) -> None:
    texts = [GOOD, text] * 12
    expected = truth.score([GOOD], np.full((1, 1), 0.5, np.float32))[0, 0]

    def score(one: str | bytes) -> float | InvalidRequestError:
        # A scorer of the thread's own: tritonclient's are not made to be shared between threads.
        try:
            with Scorer(scorer.model_names[0], None, scorer.url) as own:
                return float(own.score([one], 0.5).values[0])
        except InvalidRequestError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(score, texts))
    for sent, answer in zip(texts, answers, strict=True):
        if sent is GOOD:
            assert answer == pytest.approx(expected, abs=1e-5)
        else:
            assert isinstance(answer, InvalidRequestError)


def _infer(scorer: Scorer, excerpts: np.ndarray, weights: np.ndarray, weight_type: str = "FP32") -> None:
    library = tritonclient.grpc if scorer.url.startswith("grpc") else tritonclient.http
    excerpt = library.InferInput("excerpt", list(excerpts.shape), "BYTES")
    excerpt.set_data_from_numpy(excerpts)
    weight = library.InferInput("BERT_WEIGHT", list(weights.shape), weight_type)
    weight.set_data_from_numpy(weights)
    with library.InferenceServerClient(scorer.url.partition("://")[2]) as client:
        client.infer(scorer.model_names[0], [excerpt, weight])


def _rows(count: int, width: int = 1) -> np.ndarray:
    return np.full((count, width), GOOD.encode(), dtype=object)


@pytest.mark.parametrize(
    ("excerpts", "weights", "weight_type", "reason"),
    [
        (_rows(513), np.ones((513, 1), np.float32), "FP32", "batch-size must be <= 512"),
        (_rows(2, 2), np.ones((2, 1), np.float32), "FP32", r"unexpected shape for input 'excerpt'"),
        (_rows(2), np.ones((2, 3), np.float32), "FP32", r"unexpected shape for input 'BERT_WEIGHT'"),
        (_rows(2), np.ones((1, 1), np.float32), "FP32", r"batch"),
        (_rows(2), np.ones((2, 1), np.float64), "FP64", r"data-?type.*BERT_WEIGHT|BERT_WEIGHT.*data-?type"),
        (_rows(2)[:, 0], np.ones((2, 1), np.float32), "FP32", r"shape"),
    ],
    ids=["513 rows", "wide excerpts", "wide weights", "fewer weights", "FP64 weights", "flat excerpts"],
)
def test_wrong_shapes_and_types_are_refused(
    scorer: Scorer, excerpts: np.ndarray, weights: np.ndarray, weight_type: str, reason: str
) -> None:
    with pytest.raises(InferenceServerException, match=reason) as caught:
        _infer(scorer, excerpts, weights, weight_type)
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_the_server_is_right_after_all_that(scorer: Scorer, truth: InProcessPipeline) -> None:
    expected = truth.score([GOOD], np.full((1, 1), 0.5, np.float32))[0, 0]
    assert scorer.score([GOOD], 0.5).values[0] == pytest.approx(expected, abs=1e-5)
