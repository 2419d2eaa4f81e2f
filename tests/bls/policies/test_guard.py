"""Policy `guard`: every row has its flags, and refused rows cost the scorers nothing and harm no neighbour."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from readability_triton.bls.batch import OUTPUTS, Batch, joined
from readability_triton.bls.policies.guard import guard
from readability_triton.bls.policies.parallel import parallel
from readability_triton.bls.stages import StageError
from readability_triton.cli.samples import sample_passages
from readability_triton.stages.flags import KINDS

PROSE = next(iter(sample_passages().values()))
FRENCH = "Le chat est assis sur le tapis et il regarde la mer pendant que les enfants jouent au bord de la route."
NUMBERS = " ".join(str(number**3) for number in range(40))
TEXTS = [PROSE, FRENCH, "Hi.", NUMBERS, "Le chat est assis sur le tapis et il regarde la mer."]
FLAGS = [b"", b"language:fr", b"short", b"not-prose", b"short,language:fr"]


def batch_of(texts: list[str]) -> Batch:
    excerpts = np.array([text.encode() for text in texts] + [None], dtype=object)[:-1].reshape(-1, 1)
    return Batch(excerpts, np.linspace(0.2, 1, len(texts), dtype=np.float32)[:, None])


BATCH = batch_of(TEXTS)


def test_by_default_every_row_has_its_score_and_its_flags(stages) -> None:
    outcome = asyncio.run(guard(stages, BATCH))
    expected = asyncio.run(parallel(stages, BATCH))
    for name in ("scores", "bert", "cuml", "route", "reasons"):
        np.testing.assert_array_equal(getattr(outcome, name), getattr(expected, name))
    assert outcome.flags is not None
    assert outcome.flags.shape == (len(TEXTS), 1)
    assert outcome.flags.ravel().tolist() == FLAGS


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({"on_flag": "refuse"}, ["", "language", "short", "not-prose", "short"]),
        ({"on_short": "refuse"}, ["", "", "short", "", "short"]),
        ({"on_language": "refuse"}, ["", "language", "", "", "language"]),
        ({"on_not_prose": "refuse"}, ["", "", "", "not-prose", ""]),
        ({"on_language": "refuse", "on_not_prose": "refuse"}, ["", "language", "", "not-prose", "language"]),
    ],
)
def test_refused_rows_have_no_score_and_the_others_their_own(stages, settings, reasons) -> None:
    expected = asyncio.run(parallel(stages, BATCH)).scores
    stages.calls.clear()
    outcome = asyncio.run(guard(stages, BATCH, **settings))
    refused = np.array([bool(reason) for reason in reasons])[:, None]
    np.testing.assert_array_equal(outcome.scores, np.where(refused, np.nan, expected))
    assert outcome.scores.dtype == np.float32
    assert outcome.reasons.ravel().tolist() == [f"refused: {reason}" if reason else "" for reason in reasons]
    assert outcome.route.ravel().tolist() == [b"refused" if reason else b"bert-large+cuml" for reason in reasons]
    assert outcome.flags is not None
    assert outcome.flags.ravel().tolist() == FLAGS
    assert stages.asked("bert-large") == stages.asked("cuml") == [int((~refused).sum())]
    assert stages.tensors is not None
    kept = [text for text, reason in zip(TEXTS, reasons, strict=True) if not reason]
    assert stages.tensors[0][:, 0].tolist() == [len(text.encode()) for text in kept]


def test_where_every_row_is_refused_no_scorer_is_called(stages) -> None:
    outcome = asyncio.run(guard(stages, batch_of([NUMBERS, FRENCH]), on_flag="refuse"))
    assert np.isnan(outcome.scores).all()
    assert stages.calls == [("preprocess", 2)]


def test_a_policy_that_looks_for_no_flags_says_so(stages) -> None:
    outcome = asyncio.run(parallel(stages, BATCH))
    assert OUTPUTS["FLAGS"](outcome).ravel().tolist() == [b"unchecked"] * len(TEXTS)
    checked = asyncio.run(guard(stages, BATCH))
    assert OUTPUTS["FLAGS"](joined([checked, checked])).ravel().tolist() == FLAGS * 2
    assert joined([checked, replace(checked, flags=None)]).flags is None


def test_a_stage_that_fails_is_named(stages) -> None:
    stages.fails["preprocess"] = 1
    with pytest.raises(StageError, match=r"^preprocess: out of order$"):
        asyncio.run(guard(stages, BATCH))


def test_there_is_a_setting_for_each_kind() -> None:
    settings = {name for name in guard.__kwdefaults__ if name != "on_flag"}
    assert settings == {"on_" + kind.replace("-", "_") for kind in KINDS}
