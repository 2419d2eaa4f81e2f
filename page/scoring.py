"""A text scored by both pipelines, passage by passage and sentence by sentence, as JSON."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from readability_triton.client.documents import ScoredDocument, ScoredPassage, scored_document, scored_passages
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.passages import Passage, cut
from readability_triton.explain.chart import chart_of
from readability_triton.page.asked import Asked
from readability_triton.page.bands import band_of
from readability_triton.page.failures import as_json
from readability_triton.page.pipelines import BLS, PIPELINES, Pipelines
from readability_triton.stages.sentences import sentence_spans

Json = dict[str, Any]

MOST_SENTENCES = 2000
"""Of a text whose sentences are scored: `LONGEST_TEXT` characters of prose have about 1,000."""


def _go_on() -> None:
    """Never stops."""


def score(pipelines: Pipelines, asked: Asked, check: Callable[[], None] = _go_on) -> Json:
    """Ask both pipelines for the passages of a text, one after the other, in random order, so that neither is in the
    other's way.

    Args:
        pipelines: what is asked.
        asked: for what.
        check: called before each pipeline; raises to stop.

    Returns:
        `passages`, each with `start` and `end` in characters (code points) and `words`; `order`, in which the pipelines
        were asked; and `pipelines`, for each by name its answer, with its waterfall as `chart`, or `error`. The two
        fail separately.

    Raises:
        InvalidRequestError: if the text is refused by both.
    """
    passages = cut(asked.text)
    order = random.sample(PIPELINES, len(PIPELINES))
    answers = {}
    for name in order:
        check()
        answers[name] = _answer(pipelines, name, passages, asked)
    refused = [each for each in answers.values() if isinstance(each, InvalidRequestError)]
    if len(refused) == len(PIPELINES):
        raise refused[0]
    return {
        "passages": [{"start": each.start, "end": each.end, "words": each.words} for each in passages],
        "order": order,
        "pipelines": {name: _or_error(answers[name]) for name in PIPELINES},
    }


def _or_error(answer: Json | ReadabilityError) -> Json:
    return {"error": as_json(answer)} if isinstance(answer, ReadabilityError) else answer


def _answer(pipelines: Pipelines, name: str, passages: Sequence[Passage], asked: Asked) -> Json | ReadabilityError:
    parameters: Mapping[str, str | float] = asked.parameters if name == BLS else {}
    try:
        answered = pipelines.ask(name, [each.text for each in passages], asked.weight, parameters)
    except ReadabilityError as error:
        return error
    model = answered.model
    scored = scored_passages(passages, answered.scores, model)
    document = scored_document("", scored, sorted(set(answered.scores.answered_by)), model)
    return {
        **_document(document),
        "weight": model.weight_or_default(asked.weight),
        "fitted_weight": model.bert_weight,
        "passages": [_passage(each) for each in scored],
        "chart": asdict(chart_of(answered.waterfall)),
        "source": answered.waterfall.source,
    }


def score_sentences(pipelines: Pipelines, asked: Asked, check: Callable[[], None] = _go_on) -> Json:
    """Score every sentence of a text as a text of its own.

    Args:
        pipelines: what is asked.
        asked: for what.
        check: called after each request to a pipeline; raises to stop.

    Returns:
        `sentences`, each with `start` and `end` in characters and its score; `answered_by`, the pipelines that did.

    Raises:
        InvalidRequestError: if the text has more than `MOST_SENTENCES` sentences.
        ReadabilityError: as `Scorer.score` does.
    """
    spans = list(sentence_spans(asked.text))
    if len(spans) > MOST_SENTENCES:
        raise InvalidRequestError(
            f"The text has {len(spans):,} sentences, and this page scores the sentences of texts with "
            f"{MOST_SENTENCES:,} at most: give it a part of the text."
        )
    sentences = [asked.text[start:end] for start, end in spans]
    scores = pipelines.score_sentences(sentences, asked.weight, lambda _scored: check())
    model = pipelines.served_model(scores.answered_by[0])
    passages = [Passage(start, end, "", 0) for start, end in spans]
    return {
        "sentences": [
            {"start": each.passage.start, "end": each.passage.end, **_meaning(each)}
            for each in scored_passages(passages, scores, model)
        ],
        "answered_by": sorted(set(scores.answered_by)),
    }


def _document(document: ScoredDocument) -> Json:
    return {
        **_meaning(document),
        "flags": document.flags,
        "degraded": sum(each.degraded for each in document.passages),
        "routes": sorted({each.route for each in document.passages if each.route}),
        "answered_by": document.answered_by,
        "hardest": document.hardest,
    }


def _passage(scored: ScoredPassage) -> Json:
    return {**_meaning(scored), "flags": scored.flags, "degraded": scored.degraded, "route": scored.route}


def _meaning(scored: ScoredDocument | ScoredPassage) -> Json:
    """Score, percentile, band, interval and level; None where not known."""
    low, high = scored.interval or (None, None)
    return {
        "score": None if math.isnan(scored.score) else scored.score,
        "percentile": scored.percentile,
        "band": band_of(scored.percentile),
        "low": low,
        "high": high,
        "level": scored.level,
        "refused": scored.is_refused,
    }
