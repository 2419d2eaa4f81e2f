import numpy as np
import pytest

from readability_triton.training.cross_validation import N_FOLDS
from readability_triton.training.multitask.compose import Kind
from readability_triton.training.multitask.labels import FOLD_PAIRS, labelled_by, labels_for, targets_for


@pytest.fixture(scope="module")
def labels(texts) -> np.ndarray:
    """Each teacher's label is its own number; a text that it has seen has none."""
    labels = np.full((len(FOLD_PAIRS), len(texts.kind)), np.nan)
    for teacher, own in enumerate(labelled_by(texts)):
        labels[teacher, own] = teacher
    return labels


def test_every_pair_of_folds_has_a_teacher_that_labels_what_it_has_not_seen(texts):
    assert len(FOLD_PAIRS) == N_FOLDS * (N_FOLDS - 1) // 2
    for pair, own in zip(FOLD_PAIRS, labelled_by(texts), strict=True):
        assert set(texts.fold[own]) == {*pair, -1}


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_a_students_labels_come_from_the_teacher_that_saw_neither_its_fold_nor_the_texts(texts, labels, fold):
    found = labels_for(labels, texts, fold)
    for text in texts.of(Kind.ROW, Kind.HARDER):
        own = texts.fold[text]
        if own == fold:
            assert np.isnan(found[text])
        else:
            assert FOLD_PAIRS[int(found[text])] == tuple(sorted((fold, own)))
    blind = [teacher for teacher, pair in enumerate(FOLD_PAIRS) if fold in pair]
    np.testing.assert_allclose(found[texts.of(Kind.PROSE)], np.mean(blind))


def test_the_shipped_students_labels_are_the_mean_of_all_teachers_that_did_not_see_the_text(texts, labels):
    found = labels_for(labels, texts, None)
    for text in texts.of(Kind.ROW)[:20]:
        assert found[text] == pytest.approx(
            np.mean([t for t, pair in enumerate(FOLD_PAIRS) if texts.fold[text] in pair])
        )
    np.testing.assert_allclose(found[texts.of(Kind.PROSE)], np.mean(range(len(FOLD_PAIRS))))


def test_targets_mix_labels_with_human_scores_where_there_are_both(texts, labels):
    first, last = targets_for(labels, texts, [2, None], 0.75)
    rows = texts.of(Kind.ROW, without_fold=2)
    said = labels_for(labels, texts, 2)[rows]
    np.testing.assert_allclose(first[rows], 0.75 * said + 0.25 * texts.target[rows])
    own = texts.of(Kind.ROW)[texts.fold[texts.of(Kind.ROW)] == 2]
    np.testing.assert_array_equal(first[own], texts.target[own])  # not learned from: the fold is left out
    prose = texts.of(Kind.PROSE)
    np.testing.assert_allclose(last[prose], labels_for(labels, texts, None)[prose])


def test_without_teachers_the_targets_are_the_human_scores(texts):
    found = targets_for(None, texts, [0, 1], 0.7)
    np.testing.assert_array_equal(found, np.tile(texts.target, (2, 1)))
