"""What is served equals what the stages give when called directly, for any text, batch, pipeline and protocol."""

import asyncio
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readability_triton.cli.samples import sample_passages
from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer
from readability_triton.stages import text as stages_text
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.bundle import DEFAULT_BUNDLE, Bundle

TOLERANCE = 1e-5
PIPELINES = ("ensemble_all", "bls_pipeline")

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300).filter(lambda text: text.strip())
words = st.sampled_from(
    ["the", "of", "river", "photosynthesis", "Dr.", "don’t", "1984", "“stop!”", "naïve", "漢字", "…", "🙂", "is"]
)
prose = st.lists(words, min_size=1, max_size=80).map(" ".join)
rows = st.lists(st.tuples(texts | prose, st.floats(0, 1, width=32)), min_size=1, max_size=6)


def expected(truth: InProcessPipeline, excerpts: list[str], weights: list[float]) -> np.ndarray:
    return truth.score(excerpts, np.array(weights, dtype=np.float32).reshape(-1, 1))[:, 0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_any_text_is_scored_as_in_process(
    scorer: Scorer, truth: InProcessPipeline, rows: list[tuple[str, float]]
) -> None:
    excerpts, weights = map(list, zip(*rows, strict=True))
    scores = scorer.score(excerpts, weights)
    assert np.abs(scores.values - expected(truth, excerpts, weights)).max() <= TOLERANCE
    assert scores.answered_by == tuple(scorer.model_names * len(excerpts))


@pytest.mark.parametrize("size", [1, 2, 17, 512])
def test_batches_of_any_size_keep_their_order(scorer: Scorer, truth: InProcessPipeline, size: int) -> None:
    rng = random.Random(size)
    excerpts = [
        " ".join(rng.choices(["cat", "sat", "hat", "jurisprudence", "mat."], k=1 + row % (23 if size < 512 else 4)))
        for row in range(size)
    ]
    weights = [rng.random() for _ in range(size)]
    scores = scorer.score(excerpts, weights)
    assert np.abs(scores.values - expected(truth, excerpts, weights)).max() <= TOLERANCE


@pytest.mark.parametrize("excerpt", ["a", "word " * 600, "x" * 5000, "Run. " * 20_000], ids=lambda text: f"{len(text)}")
def test_one_token_to_far_too_long(scorer: Scorer, truth: InProcessPipeline, excerpt: str) -> None:
    scores = scorer.score([excerpt, "A neighbour of ordinary length."], 0.5)
    assert (
        np.abs(scores.values - expected(truth, [excerpt, "A neighbour of ordinary length."], [0.5, 0.5])).max()
        <= TOLERANCE
    )


def test_text_beyond_the_encoder_is_cut_for_the_encoder_only(scorer: Scorer) -> None:
    cut_here = "word " * 510
    same_start = [cut_here + "alpha " * 100, cut_here + "beta. " * 200]
    assert np.ptp(scorer.score(same_start, 1.0).values) <= TOLERANCE
    assert np.ptp(scorer.score(same_start, 0.0).values) > 1000 * TOLERANCE


def test_more_texts_than_a_request_takes_are_sent_in_several(server: TritonServer, truth: InProcessPipeline) -> None:
    excerpts = [f"Line number {number}." for number in range(600)]
    done = []
    with Scorer(url=server.grpc_url, batch_size=1000) as scorer:
        scores = scorer.score(excerpts, 0.3, done.append)
    assert done == [512, 88]
    assert np.abs(scores.values - expected(truth, excerpts, [0.3] * 600)).max() <= TOLERANCE


def test_the_async_twin_gives_the_same_scores_under_concurrency(url: str, truth: InProcessPipeline) -> None:
    passages = list(sample_passages().values())

    async def score_all() -> list[np.ndarray]:
        async with AsyncScorer("bls_pipeline", None, url) as one, AsyncScorer("ensemble_all", None, url) as other:
            calls = [scorer.score([text], 0.7) for text in passages for scorer in (one, other)]
            return [scores.values for scores in await asyncio.gather(*calls)]

    scores = np.concatenate(asyncio.run(score_all())).reshape(-1, 2)
    assert np.abs(scores - expected(truth, passages, [0.7] * len(passages))[:, None]).max() <= TOLERANCE


def test_sample_passages_fall_in_score_as_they_get_harder(scorer: Scorer) -> None:
    scores = scorer.score(list(sample_passages().values())).values
    assert list(scores) == sorted(scores, reverse=True)


def test_the_weight_that_was_fitted_is_the_default(scorer: Scorer) -> None:
    fitted = scorer.served_model().bert_weight
    assert fitted is not None
    assert scorer.score(["A cat sat."]).values == scorer.score(["A cat sat."], fitted).values


def test_intervals_and_levels_are_those_of_the_bundle_through_either_pipeline(scorer: Scorer) -> None:
    facts = Bundle.load(DEFAULT_BUNDLE).facts
    passages = [*sample_passages().values(), "Go.", "word " * 300]
    scores = scorer.score(passages)
    lengths = np.array([len(stages_text.words(text)) for text in passages])
    ends = facts.interval.interval(scores.values.astype(np.float64), lengths)
    np.testing.assert_allclose(scores.interval, np.stack(ends, axis=1), rtol=1e-6)
    assert np.isnan(scores.interval).any(axis=1).tolist() == [False] * 11 + [True]
    assert scores.level == tuple(facts.level_line.name(float(score)) for score in scores.values)
    assert set(scorer.score(passages, 0.5).level) == {None}
