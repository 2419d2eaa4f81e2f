"""A share of the calls goes to another pipeline, the same keys always, and each request is recorded without texts."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.split import Split

SHARE = st.floats(0, 1)
KEYS = [f"user-{number}" for number in range(20_000)]
TEXTS = ["one", "three", "a longer text"]
NOT_READY = InferenceServerException("Request for unknown model: it is not ready", "StatusCode.UNAVAILABLE")
FAILED = InferenceServerException("out of memory", "StatusCode.INTERNAL")
REFUSED = InferenceServerException("row 0: text is odd", "StatusCode.INVALID_ARGUMENT")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("salt", ["", "second test"])
def test_the_share_of_keys_is_right(share: float, salt: str) -> None:
    split = Split("new", share, salt=salt)
    taken = sum(map(split.takes, KEYS))
    deviation = np.sqrt(len(KEYS) * share * (1 - share))
    assert abs(taken - share * len(KEYS)) <= 4 * deviation


@given(key=st.text(), salt=st.text(), share=SHARE)
def test_a_key_always_meets_the_same_pipeline(key: str, salt: str, share: float) -> None:
    assert Split("new", share, salt=salt).takes(key) == Split("new", share, salt=salt).takes(key)


@given(key=st.text(), salt=st.text(), shares=st.tuples(SHARE, SHARE))
def test_a_growing_share_only_moves_keys_to_the_candidate(key: str, salt: str, shares: tuple[float, float]) -> None:
    less, more = (Split("new", share, salt=salt).takes(key) for share in sorted(shares))
    assert less <= more


def test_another_salt_takes_other_keys() -> None:
    first, second = (np.array([Split("new", 0.5, salt=salt).takes(key) for key in KEYS]) for salt in ("a", "b"))
    assert 0.45 < (first == second).mean() < 0.55


def test_without_a_key_every_call_is_drawn() -> None:
    draws = iter([0.05, 0.95, 0.0999, 0.1])
    split = Split("new", 0.1, draw=lambda: next(draws))
    assert [split.takes(None) for _ in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"a": 0.1, "b": 0.2}, "a split has one candidate"),
        ({}, "a split has one candidate"),
        ({"bls_pipeline": 1.5}, "the share of bls_pipeline is from 0 to 1, not 1.5"),
        ({"bls_pipeline": float("nan")}, "from 0 to 1"),
    ],
)
def test_a_split_that_is_none_is_refused(scorer, split, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scorer(split=split)


def test_a_split_needs_another_pipeline(scorer) -> None:
    with pytest.raises(ValueError, match="no other pipeline"):
        scorer(split={"bls_pipeline": 0.1}, fallback=None)


def test_a_log_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Split("bls_pipeline", 0.1, tmp_path / "missing" / "split.jsonl")


def lines(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_keys_go_to_their_pipeline_and_are_recorded_without_texts(fake, scorer, tmp_path: Path) -> None:
    log = tmp_path / "split.jsonl"
    split = Split("bls_pipeline", 0.5, log)
    asking = scorer(split=split)
    keys = KEYS[:40]
    for key in keys:
        scores = asking.score(TEXTS, 1.0, key=key)
        expected = "bls_pipeline" if split.takes(key) else "ensemble_all"
        assert set(scores.answered_by) == {expected}
    recorded = lines(log)
    assert [line["arm"] == "bls_pipeline" for line in recorded] == [split.takes(key) for key in keys]
    assert len({line["key"] for line in recorded}) == len(keys)
    first = recorded[0]
    assert (first["event"], first["candidate"], first["share"]) == ("split", "bls_pipeline", 0.5)
    assert (first["rows"], first["outcome"]) == (3, "ok")
    assert first["ms"] > 0
    assert len({line["scores"] for line in recorded}) == 1  # both pipelines give the same
    assert "values" not in first
    assert not any(text in log.read_text() for text in ("user-", "three", "longer"))


def test_scores_are_recorded_where_asked_for(fake, scorer, tmp_path: Path) -> None:
    log = tmp_path / "split.jsonl"
    scorer(split=Split("bls_pipeline", 1.0, log, values=True)).score(TEXTS, 1.0)
    (line,) = lines(log)
    assert line["values"] == [3.0, 5.0, 13.0]
    assert line["key"] is None


def test_each_request_of_a_call_is_a_line_of_one_arm(fake, scorer, tmp_path: Path) -> None:
    log = tmp_path / "split.jsonl"
    scorer(split=Split("bls_pipeline", 0.5, log), batch_size=2).score(["x"] * 9, 1.0, key="user-1")
    assert [line["rows"] for line in lines(log)] == [2, 2, 2, 2, 1]
    assert len({line["arm"] for line in lines(log)}) == 1


@pytest.mark.parametrize(
    ("error", "outcome", "raised"),
    [
        (NOT_READY, "fell-back", None),
        (FAILED, "InferenceError", ReadabilityError),
        (REFUSED, "invalid", ReadabilityError),
    ],
)
def test_how_a_request_went_is_recorded(fake, scorer, tmp_path: Path, error, outcome: str, raised) -> None:
    log = tmp_path / "split.jsonl"
    fake.refuse = lambda model, texts: error if model == "bls_pipeline" else None
    asking = scorer(split=Split("bls_pipeline", 1.0, log))
    if raised:
        with pytest.raises(raised):
            asking.score(TEXTS, 1.0)
    else:
        assert set(asking.score(TEXTS, 1.0).answered_by) == {"ensemble_all"}
    (line,) = lines(log)
    assert (line["arm"], line["outcome"]) == ("bls_pipeline", outcome)


def test_a_disk_that_is_full_takes_no_client_its_scores(fake, scorer, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    asking = scorer(split=Split("bls_pipeline", 1.0, folder / "split.jsonl"))
    (folder / "split.jsonl").unlink()
    folder.rmdir()
    with pytest.warns(RuntimeWarning, match="not recorded"):
        assert len(asking.score(TEXTS, 1.0).values) == 3


def test_a_key_without_a_split_changes_nothing(fake, scorer) -> None:
    assert set(scorer().score(TEXTS, key="user-1").answered_by) == {"bls_pipeline"}


def test_a_text_that_is_none_is_an_error_of_no_arm(fake, scorer, tmp_path: Path) -> None:
    log = tmp_path / "split.jsonl"
    with pytest.raises(InvalidRequestError):
        scorer(split=Split("bls_pipeline", 1.0, log)).score([None])
    assert lines(log) == []


def test_coroutines_split_alike(fake, async_scorer, tmp_path: Path) -> None:
    log = tmp_path / "split.jsonl"
    split = Split("bls_pipeline", 0.5, log)

    async def ask() -> list[str]:
        asking: AsyncScorer = async_scorer(split=split)
        scores = await asyncio.gather(*(asking.score(TEXTS, 1.0, key=key) for key in KEYS[:30]))
        return [one.answered_by[0] for one in scores]

    arms = ["bls_pipeline" if split.takes(key) else "ensemble_all" for key in KEYS[:30]]
    assert asyncio.run(ask()) == arms
    assert sorted(line["arm"] for line in lines(log)) == sorted(arms)
