"""Rows without a text, through both scorers."""

import asyncio

import numpy as np
import pandas
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client.errors import InvalidRequestError

COLUMN = pandas.Series(["one", None, "three", float("nan"), "a longer text", "x", "forbidden"])


@pytest.fixture(params=["synchronous", "asynchronous"])
def score(request, fake, scorer, async_scorer):
    if request.param == "synchronous":
        return lambda *arguments, **options: scorer(details=True).score(*arguments, **options)
    return lambda *arguments, **options: asyncio.run(async_scorer(details=True).score(*arguments, **options))


def test_gaps_are_refused_by_row_and_nothing_is_sent(fake, score):
    with pytest.raises(InvalidRequestError, match="row 1: no text"):
        score(COLUMN)
    assert fake.infers == []


def test_one_string_is_refused_and_nothing_is_sent(fake, score):
    with pytest.raises(InvalidRequestError, match="pass a list"):
        score("one string")
    assert fake.infers == []


def test_gaps_have_no_score_and_every_other_row_has_its_own(fake, score):
    scores = score(COLUMN, missing="nan")
    expected = [1.5, np.nan, 2.5, np.nan, 6.5, 0.5, 4.5]
    np.testing.assert_array_equal(scores.values, np.array(expected, np.float32))
    gaps = np.isnan(expected)
    assert [name == "" for name in scores.answered_by] == gaps.tolist()
    assert (np.isnan(scores.details.bert) == gaps).all()
    assert scores.details.route[1] == ""
    assert not scores.details.degraded[1]
    assert [text for _, batch, *_ in fake.infers for text in batch] == [
        text.encode() for text in COLUMN if isinstance(text, str)
    ]


def test_weights_stay_with_their_rows(score):
    weights = np.linspace(0, 1, len(COLUMN)).astype(np.float32)
    scores = score(COLUMN, weights, missing="nan")
    assert scores.values[4] == weights[4] * np.float32(13)
    assert scores.values[6] == weights[6] * np.float32(9)


def test_a_refused_row_is_counted_with_the_gaps(fake, score):
    fake.refuse = lambda model, texts: (
        InferenceServerException(f"row {texts.index(b'forbidden')}: no", "400") if b"forbidden" in texts else None
    )
    with pytest.raises(InvalidRequestError) as refused:
        score(COLUMN, missing="nan")
    assert refused.value.row == 6


def test_gaps_only_need_no_request(fake, score):
    assert np.isnan(score([None, None], missing="nan").values).all()
    assert fake.infers == []
