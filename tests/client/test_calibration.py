"""Which scores have an interval and a level, and which have neither: no number where none is known."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from readability_triton.client.calibration import are_calibrated, intervals_and_levels
from readability_triton.client.served_model import ServedModel
from readability_triton.stages.cefr import NAMES, LevelLine
from readability_triton.stages.interval import IntervalTable

TEXTS = ["One.", "Two words.", "Four words, no more.", "This sentence has six words here."]
SCORES = [len(text) / 2 for text in TEXTS]
OFFSETS = [(-2.0, 3.0), (-2.0, 3.0), (-1.0, 1.5), (-1.0, 1.5)]
LEVELS = [NAMES[min(max(int(6.0 - 0.5 * score + 0.5), 1), 6) - 1] for score in SCORES]
NOT_READY = InferenceServerException("Request for unknown model: it is not ready", "StatusCode.UNAVAILABLE")

TABLE = IntervalTable(0.9, 215, [], [[]], [[-1.0]], [[2.0]])
LINE = LevelLine(2.0, -1.0, 0.49)


def assert_known(scores) -> None:
    np.testing.assert_allclose(scores.interval, np.array(OFFSETS) + np.array(SCORES)[:, None])
    assert scores.interval.dtype == np.float32
    assert scores.level == tuple(LEVELS)


def assert_unknown(scores) -> None:
    assert scores.interval.shape == (len(scores.values), 2)
    assert np.isnan(scores.interval).all()
    assert scores.level == (None,) * len(scores.values)


@pytest.fixture(params=["Scorer", "AsyncScorer"])
def score(request, scorer, async_scorer):
    """Score with either client."""

    def run(texts=TEXTS, weight=None, **options):
        async def ask():
            async with async_scorer(**options) as asking:
                return await asking.score(texts, weight)

        return scorer(**options).score(texts, weight) if request.param == "Scorer" else asyncio.run(ask())

    return run


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("weight", [None, 0.5, [0.5] * 4])
def test_scores_at_the_fitted_weight_have_the_interval_of_their_length_and_a_level(calibrated, score, weight, details):
    assert_known(score(weight=weight, details=details))


def test_routes_are_requested_where_they_decide(calibrated, score):
    score()
    assert [(model, names) for model, names, _ in calibrated.requested] == [
        ("bls_pipeline", ["SCORE", "ROUTE", "DEGRADED"])
    ]


@pytest.mark.parametrize("weight", [0.0, 0.49, 1.0])
def test_another_weight_than_the_fitted_one_leaves_both_unknown(calibrated, score, weight):
    assert_unknown(score(weight=weight))


def test_weights_decide_row_by_row(calibrated, score):
    scores = score(weight=[0.5, 0.25, 0.5, 0.25])
    assert np.isnan(scores.interval).any(axis=1).tolist() == [False, True, False, True]
    assert [level is None for level in scores.level] == [False, True, False, True]


@pytest.mark.parametrize("details", [False, True])
def test_a_degraded_row_and_one_that_skips_a_model_leave_both_unknown_for_themselves_alone(calibrated, score, details):
    routes = ["bert-large+cuml", "bert-large", "cuml", "bert-large+cuml"]
    calibrated.routing = lambda texts: (routes, [False, False, False, True])
    scores = score(details=details)
    assert np.isnan(scores.interval).any(axis=1).tolist() == [False, True, True, True]
    assert [level is None for level in scores.level] == [False, True, True, True]


def test_rows_that_a_policy_hands_to_the_ensemble_have_both(calibrated, score):
    calibrated.routing = lambda texts: (["ensemble_all"] * len(texts), [False] * len(texts))
    assert_known(score())


def test_the_ensemble_has_one_route_and_so_both(calibrated, score):
    scores = score(model_name="ensemble_all", fallback=None)
    assert_known(scores)
    assert [names for _, names, _ in calibrated.requested] == [["SCORE"]]


def test_a_pipeline_that_stands_in_is_judged_by_its_own_configuration(calibrated, score):
    calibrated.refuse = lambda model, texts: NOT_READY if model == "bls_pipeline" else None
    assert_known(score())
    assert calibrated.described == ["bls_pipeline", "ensemble_all"]


def test_a_server_without_intervals_and_levels_leaves_both_unknown_and_is_asked_for_scores_only(fake, score):
    fake.outputs = {"bls_pipeline": ["SCORE", "ROUTE", "DEGRADED"]}
    assert_unknown(score())
    assert [names for _, names, _ in fake.requested] == [["SCORE"]]


def test_a_server_without_a_fitted_weight_leaves_both_unknown(calibrated, score):
    del calibrated.parameters["bert_weight"]
    assert_unknown(score(weight=0.5))


def test_one_of_the_two_may_be_known(calibrated, score):
    del calibrated.parameters["interval"]
    scores = score()
    assert np.isnan(scores.interval).all()
    assert scores.level == tuple(LEVELS)


def test_no_texts_have_no_intervals(calibrated, score):
    scores = score([])
    assert scores.interval.shape == (0, 2)
    assert scores.level == ()


@pytest.mark.parametrize(
    ("text", "has_interval", "has_level"),
    [
        ("word " * 215, True, True),
        ("word " * 216, False, True),
        ("?! ...", False, False),
        (b"caf\xc3\xa9", True, True),
    ],
    ids=["longest calibrated on", "longer", "no word", "bytes"],
)
def test_an_interval_is_for_lengths_calibrated_on_and_a_level_for_words(
    calibrated, score, text, has_interval, has_level
):
    scores = score([text])
    assert np.isfinite(scores.interval).all() == has_interval
    assert (scores.level[0] is not None) == has_level


@pytest.mark.parametrize(
    ("fitted", "route", "expected"),
    [
        (1.0, "bert-large", True),
        (1.0, "bert-large+cuml", True),
        (1.0, "cuml", False),
        (0.0, "cuml", True),
        (0.0, "bert-large", False),
        (0.7, "bert-large+cuml", True),
        (0.7, "bert-large", False),
        (0.7, "ensemble_all", True),
        (0.7, "", False),
        (1.0, "my-bert-large", False),
    ],
)
def test_a_route_counts_where_every_model_with_a_share_in_the_blend_is_on_it(fitted, route, expected):
    model = ServedModel("m", 1, fitted, (), TABLE, LINE)
    one = np.ones(1, np.float32)
    assert are_calibrated(model, one, one * fitted, [route], np.array([False])).tolist() == [expected]


def test_a_pipeline_that_does_not_say_its_routes_though_it_could_is_not_believed():
    one = np.ones(1, np.float32)
    silent = ServedModel("m", 1, 1.0, (), TABLE, LINE, frozenset({"SCORE", "ROUTE", "DEGRADED"}))
    assert not are_calibrated(silent, one, one, None, None).any()


scores_of_any_kind = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(scores_of_any_kind, st.text(max_size=9), st.booleans()), max_size=9))
def test_whatever_comes_back_an_interval_encloses_its_score_and_neither_is_given_without_calibration(rows):
    model = ServedModel("m", 1, 1.0, (), TABLE, LINE)
    values = np.array([value for value, _, _ in rows], dtype=np.float32)
    weights = np.array([1.0 if fitted else 0.5 for _, _, fitted in rows], dtype=np.float32)
    calibrated = are_calibrated(model, values, weights, None, None)
    intervals, levels = intervals_and_levels(model, values, [text.encode() for _, text, _ in rows], calibrated)
    for value, (low, high), level, is_calibrated in zip(values, intervals, levels, calibrated, strict=True):
        assert (np.isnan(low), np.isnan(high)) in ((True, True), (False, False))
        assert np.isnan(low) or low <= value <= high
        assert level is None or level in NAMES
        assert is_calibrated or (np.isnan(low) and level is None)
