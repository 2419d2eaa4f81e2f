"""Out-of-fold scores by forests of the texts that the students are judged on."""

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import folds
from readability_triton.training.fit import Progress
from readability_triton.training.forest import fit_forest_on_texts
from readability_triton.training.multitask.compose import ComposedTexts


def out_of_fold_forest(
    corpus: Corpus, texts: ComposedTexts, seed: int, device: str, progress: Progress
) -> NDArray[np.float64]:
    """Scores FP64 [J] of `texts.strings` by forests that saw no row of a text's fold, vocabulary included.

    Args:
        corpus: what the forests are fitted on.
        texts: composed of it with the same seed.
        seed: of the folds and the forests.
        device: "cpu" or "cuda".
        progress: how to show what is being done.
    """
    scores = np.empty(len(texts.strings))
    fold = texts.fold[texts.numbers]
    with progress("cross-validating the forest", len(scores)) as on_progress:
        for number, (fit, _) in enumerate(folds(corpus, seed)):
            known = [corpus.texts[row] for row in fit]
            spec = FeatureSpec.fit(known)
            forest = fit_forest_on_texts(known, corpus.targets[fit], spec, seed, device)
            judged = np.flatnonzero(fold == number)
            scores[judged] = predict(forest, extract([texts.strings[at] for at in judged], spec))[:, 0]
            on_progress(len(judged))
    return scores
