"""Fit anew what reads the counted features, with the encoder and its out-of-fold scores as they are."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import treelite
from numpy.typing import NDArray

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training.bundle import FORMAT, Bundle, OutOfFold, forest_bytes
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import fold_of_rows, out_of_fold_forest
from readability_triton.training.evaluate import refuse_unknown
from readability_triton.training.fit import Progress
from readability_triton.training.forest import fit_forest_on_texts
from readability_triton.training.yardsticks.blend_weight import choose_weight
from readability_triton.training.yardsticks.openings import SENTENCES, error_by_sentences, opening


def refit(bundle: Bundle, corpus: Corpus, reference_texts: Sequence[str], progress: Progress, seed: int = 0) -> Bundle:
    """The bundle with features, forest, blend weight, out-of-fold and reference scores of the forest fitted anew.

    Out-of-fold scores of the encoder are kept, of every text. The forest's are of rows and of rows' openings; texts of
    other kinds have none, since the bundle holds hashes of texts only: `OutOfFold.cuml` is NaN.

    The blend weight costs least by RMSE and, where all of them have out-of-fold scores, by the openings of rows. The
    interval table is of blended scores: it is kept where the blend gives the encoder alone before and after, and left
    out otherwise.

    Args:
        bundle: of this format or an earlier one.
        corpus: the rows that it was trained on.
        reference_texts: the texts whose scores the bundle holds.
        progress: how to show what is being done.
        seed: of the folds and the forest.

    Raises:
        ValueError: if a row of the corpus was not among those trained on.
    """
    refuse_unknown(bundle.out_of_fold.find(corpus.texts)[1], len(corpus.texts))
    texts, fold = _found(bundle.out_of_fold, corpus, seed)
    with progress("cross-validating the forest", len(texts)) as on_progress:
        scores = out_of_fold_forest(corpus, texts, fold, seed, on_progress)
    known = _with_forest(bundle.out_of_fold, texts, scores)
    features = FeatureSpec.fit(corpus.texts)
    forest = forest_bytes(fit_forest_on_texts(corpus.texts, corpus.targets, features, seed))
    weight = choose_weight(known, corpus, [partial(error_by_sentences, corpus)])
    facts = replace(
        bundle.facts,
        format=FORMAT,
        bert_weight=weight,
        reference_scores=_reference_scores(bundle, forest, features, reference_texts),
        interval=bundle.facts.interval if weight == bundle.facts.bert_weight == 1 else None,
    )
    return replace(bundle, facts=facts, forest=forest, features=features, out_of_fold=known)


def _found(known: OutOfFold, corpus: Corpus, seed: int) -> tuple[list[str], NDArray[np.intp]]:
    """Rows and those of their openings that have out-of-fold scores, and the fold of each; every text once."""
    rows = list(zip(corpus.texts, fold_of_rows(corpus, seed).tolist(), strict=True))
    openings = [(opening(text, n), fold) for text, fold in rows for n in SENTENCES]
    first = dict(reversed([*rows, *openings]))  # of a text that occurs twice, the first
    texts = list(first)
    unknown = set(known.find(texts)[1].tolist())
    found = [text for at, text in enumerate(texts) if at not in unknown]
    return found, np.array([first[text] for text in found], dtype=np.intp)


def _with_forest(known: OutOfFold, texts: Sequence[str], scores: NDArray[np.float64]) -> OutOfFold:
    """The same texts with the forest's scores of some, FP64 [J]; the others' are NaN."""
    cuml = np.full(len(known.texts), np.nan, np.float32)
    cuml[known.find(texts)[0]] = scores
    return replace(known, cuml=cuml)


def _reference_scores(bundle: Bundle, forest: bytes, spec: FeatureSpec, texts: Sequence[str]) -> list[list[float]]:
    if not texts:
        return []
    cuml = predict(treelite.Model.deserialize_bytes(forest), extract(texts, spec))[:, 0]
    kept = [bert for bert, _ in bundle.facts.reference_scores]
    return [[bert, round(float(score), 4)] for bert, score in zip(kept, cuml, strict=True)]
