"""Fit anew what reads the counted features, with the encoder and its out-of-fold scores as they are."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import treelite

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training.bundle import FORMAT, Bundle, OutOfFold, forest_bytes, hash_text
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions, best_weight, out_of_fold_forest
from readability_triton.training.evaluate import predict_out_of_fold
from readability_triton.training.forest import fit_forest_on_texts


def refit(
    bundle: Bundle,
    corpus: Corpus,
    reference_texts: Sequence[str],
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Bundle:
    """The bundle with features, forest, blend weight, out-of-fold and reference scores of the forest fitted anew.

    The interval table is of blended scores: it is kept where the blend gives the encoder alone before and after, and
    left out otherwise.

    Args:
        bundle: of this format or an earlier one.
        corpus: the rows that it was trained on.
        reference_texts: the texts whose scores the bundle holds.
        seed: of the folds and the forest.
        on_progress: called with rows scored in the cross-validation, as these are done.

    Raises:
        ValueError: if a row of the corpus was not among those trained on.
    """
    bert = predict_out_of_fold(corpus, bundle).bert
    scores = Predictions(bert, out_of_fold_forest(corpus, seed, on_progress))
    features = FeatureSpec.fit(corpus.texts)
    forest = forest_bytes(fit_forest_on_texts(corpus.texts, corpus.targets, features, seed))
    weight = best_weight(scores, corpus.targets)
    facts = replace(
        bundle.facts,
        format=FORMAT,
        bert_weight=weight,
        reference_scores=_reference_scores(bundle, forest, features, reference_texts),
        interval=bundle.facts.interval if weight == bundle.facts.bert_weight == 1 else None,
    )
    return replace(
        bundle,
        facts=facts,
        forest=forest,
        features=features,
        out_of_fold=_out_of_fold(corpus, scores),
    )


def _out_of_fold(corpus: Corpus, scores: Predictions) -> OutOfFold:
    hashes = np.array([hash_text(text) for text in corpus.texts], dtype=np.uint64)
    rising = np.argsort(hashes)
    return OutOfFold(hashes[rising], *(each[rising].astype(np.float32) for each in scores))


def _reference_scores(bundle: Bundle, forest: bytes, spec: FeatureSpec, texts: Sequence[str]) -> list[list[float]]:
    if not texts:
        return []
    cuml = predict(treelite.Model.deserialize_bytes(forest), extract(texts, spec))[:, 0]
    kept = [bert for bert, _ in bundle.facts.reference_scores]
    return [[bert, round(float(score), 4)] for bert, score in zip(kept, cuml, strict=True)]
