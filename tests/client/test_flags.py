"""Flags come with the scores where policy `guard` was asked for, and are None, not empty, where nobody checked."""

import asyncio
import math

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client.documents import ScoredDocument, ScoredPassage, score_documents
from readability_triton.client.passages import Passage
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.client.tables import score_rows
from tests.client.test_scores import scores_of

GUARD = {"policy": "guard"}
TEXTS = ["Hi.", "A longer text.", "Yes."]
FLAGS = (("short",), (), ("short",))


@pytest.fixture
def flagging(fake):
    fake.outputs = {"bls_pipeline": ["SCORE", "ROUTE", "DEGRADED", "FLAGS"], "ensemble_all": ["SCORE"]}
    return fake


@pytest.mark.parametrize("details", [False, True])
def test_flags_come_with_the_scores(flagging, scorer, async_scorer, details):
    assert scorer(parameters=GUARD, details=details).score(TEXTS, 1.0).flags == FLAGS
    assert asyncio.run(async_scorer(parameters=GUARD, details=details).score(TEXTS, 1.0)).flags == FLAGS
    assert all("FLAGS" in outputs for _, outputs, _ in flagging.requested)


@pytest.mark.parametrize("parameters", [{}, {"policy": "deadline"}])
def test_without_guard_no_flags_are_asked_for(flagging, scorer, parameters):
    assert scorer(parameters=parameters).score(TEXTS).flags is None
    assert all("FLAGS" not in outputs for _, outputs, _ in flagging.requested)


def test_where_guard_is_the_models_own_policy_flags_are_asked_for(flagging, scorer):
    flagging.parameters |= {"policy": "guard"}
    assert scorer().score(TEXTS, 1.0).flags == FLAGS
    assert scorer(parameters={"policy": "parallel"}).score(TEXTS, 1.0).flags is None


def test_a_model_without_the_output_is_not_asked(fake, scorer):
    assert scorer(parameters=GUARD).score(TEXTS).flags is None


def test_the_ensemble_checks_nothing(flagging, scorer):
    away = InferenceServerException("not ready", "StatusCode.UNAVAILABLE")
    flagging.refuse = lambda model, texts: away if model == "bls_pipeline" and b"Yes." in texts else None
    scores = scorer(parameters=GUARD, batch_size=1).score(TEXTS, 1.0)
    assert scores.flags == (("short",), (), None)
    assert scores.answered_by == ("bls_pipeline", "bls_pipeline", "ensemble_all")


def test_gaps_have_no_flags(flagging, scorer):
    assert scorer(parameters=GUARD).score(["Hi.", None], 1.0, missing="nan").flags == (("short",), None)


def test_joined_flags_stand_one_after_the_other():
    one = Scores(
        *(getattr(scores_of(2), name) for name in ("values", "answered_by", "interval", "level")),
        flags=((), ("short",)),
    )
    assert Scores.joined([scores_of(1), one]).flags == (None, (), ("short",))
    assert Scores.joined([scores_of(1)]).flags is None


def passage(score: float, flags: tuple[str, ...] | None) -> ScoredPassage:
    return ScoredPassage(Passage(0, 1, "a", 1), score, None, flags=flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([(), ()], ()),
        ([("language:fr",), (), ("not-prose", "language:fr")], ("language:fr", "not-prose")),
        ([("short",), None], None),
    ],
)
def test_a_document_has_the_flags_of_its_passages(flags, expected):
    document = ScoredDocument("a", 1.0, None, [passage(1.0, each) for each in flags], ["m"])
    assert document.flags == expected
    assert not document.is_refused


def test_a_document_is_refused_if_a_passage_is():
    parts = [passage(1.0, ()), passage(math.nan, ("language:fr",))]
    assert ScoredDocument("a", math.nan, None, parts, ["m"]).is_refused
    assert not ScoredDocument("a", 1.0, None, [passage(1.0, ("short",))], ["m"]).is_refused


class Refusing:
    """A scorer whose server refuses short texts."""

    def score(self, texts, bert_weight=None, on_progress=lambda _: None):
        short = [len(text) < 5 for text in texts]
        values = np.where(short, np.nan, 1).astype(np.float32)
        flags = tuple(("short",) if each else () for each in short)
        return Scores(
            values, ("bls_pipeline",) * len(texts), np.full((len(texts), 2), np.nan), (None,) * len(texts), flags=flags
        )

    def served_model(self):
        return ServedModel("bls_pipeline", 8, 1.0, (-1.0, 2.0))


def test_a_refused_document_has_neither_score_nor_percentile():
    refused, scored = score_documents(Refusing(), [("a", "Hi."), ("b", "A longer text.")], None)
    assert math.isnan(refused.score)
    assert refused.percentile is refused.passages[0].percentile is None
    assert refused.is_refused
    assert (scored.score, scored.flags) == (1.0, ())


def test_a_table_has_the_reason_in_the_row_that_is_refused():
    (_, refused), (_, scored) = score_rows(Refusing(), [(0, "Hi."), (1, "A longer text.")], None)
    assert refused == {"answered_by": "bls_pipeline", "flags": "short", "error": "refused: short"}
    assert scored["flags"] == ""
    assert "error" not in scored
