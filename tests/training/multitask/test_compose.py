from collections import Counter

import numpy as np
import pytest

from readability_triton.stages.sentences import count_sentences
from readability_triton.training.cross_validation import N_FOLDS, folds
from readability_triton.training.multitask.compose import Composer, Kind
from readability_triton.training.yardsticks.openings import SENTENCES, opening


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def test_a_row_has_the_tokens_of_its_excerpt_and_its_fold(texts, corpus, tiny):
    rows = texts.of(Kind.ROW)
    assert len(rows) == len(corpus.texts)
    for row, text in zip(rows, corpus.texts, strict=True):
        # The tokenizer of the tiny encoder cuts at 64 tokens; composed texts are cut where a batch is made.
        assert texts.text_tokens(row).tolist()[:62] == encode(tiny.tokenizer, text)[:62]
    np.testing.assert_array_equal(texts.target[rows], corpus.targets)
    for number, (_, held_out) in enumerate(folds(corpus, 3)):
        assert (texts.fold[rows[held_out]] == number).all()


def test_openings_are_those_of_the_yardstick(texts, corpus, tiny):
    numbers = texts.of(Kind.OPENING).reshape(len(corpus.texts), len(SENTENCES))
    for column, n in enumerate(SENTENCES):
        for number, text in zip(numbers[:, column], corpus.texts, strict=True):
            assert texts.text_tokens(number).tolist()[:62] == encode(tiny.tokenizer, opening(text, n))[:62]


def test_a_run_is_a_part_of_its_row_with_the_rows_fold_and_target(texts, corpus):
    rows, runs = texts.of(Kind.ROW), texts.of(Kind.RUN)
    per_row = len(runs) // len(rows)
    for at, run in enumerate(runs):
        row = rows[at // per_row]
        whole, part = (" ".join(map(str, texts.text_tokens(text))) for text in (row, run))
        assert f" {part} " in f" {whole} "
        assert (texts.fold[run], texts.target[run]) == (texts.fold[row], texts.target[row])
        assert 1 <= texts.starts[run + 1] - texts.starts[run] <= 5


def test_no_sentence_stands_in_two_folds(texts):
    fold_of: dict[int, set[int]] = {}
    for text in range(len(texts.kind)):
        for part in texts.parts[texts.starts[text] : texts.starts[text + 1]]:
            fold_of.setdefault(int(part), set()).add(int(texts.fold[text]))
    assert all(len(found) == 1 for found in fold_of.values())


def test_runs_of_levelled_sentences_keep_level_and_source(texts, levelled, tiny):
    level_of = {
        tuple(encode(tiny.tokenizer, text)): (level, source)
        for text, level, source in zip(levelled.texts, levelled.levels, levelled.sources, strict=True)
    }
    runs = texts.of(Kind.LEVELLED_RUN)
    assert len(runs) == len(levelled.texts)
    ambiguous = Counter(levelled.texts)
    assert ambiguous
    for run in runs:
        parts = texts.parts[texts.starts[run] : texts.starts[run + 1]]
        assert 2 <= len(parts) <= 5
        assert len(set(parts)) == len(parts)
        singles = texts.of(Kind.LEVELLED)
        of_parts = [single for single in singles if texts.parts[texts.starts[single]] in parts]
        assert {texts.level[single] for single in of_parts} == {texts.level[run]}
    assert level_of


def test_the_easier_text_follows_the_harder_one_with_as_many_sentences(texts):
    harder = texts.of(Kind.HARDER)
    assert len(harder) == 30
    np.testing.assert_array_equal(texts.kind[harder + 1], Kind.EASIER)
    np.testing.assert_array_equal(texts.fold[harder + 1], texts.fold[harder])
    sizes = np.diff(texts.starts)
    np.testing.assert_array_equal(sizes[harder], sizes[harder + 1])
    assert sizes[harder].max() > 1
    assert set(texts.fold[harder]) <= set(range(N_FOLDS))


def test_prose_has_no_fold_and_no_target(texts):
    free = texts.of(Kind.PROSE, Kind.PROSE_RUN)
    assert (texts.fold[free] == -1).all()
    assert np.isnan(texts.target[free]).all()
    assert len(free) == 10 * 3


def test_texts_can_be_asked_for_without_a_fold(texts):
    left = texts.of(Kind.ROW, Kind.PROSE, without_fold=[1, 3])
    assert set(texts.fold[left]) == {-1, 0, 2, 4}


def test_lengths_count_the_special_tokens(tiny):
    composer = Composer(tiny.tokenizer, 0)
    composer.add_prose(["Go home.", "Go. " * 400])
    texts = composer.composed()
    first, last = texts.of(Kind.PROSE)
    assert texts.lengths[first] == 5
    assert texts.lengths[last] == 802
    assert count_sentences("Go. " * 400) == 400


def test_the_same_seed_composes_the_same_texts(corpus, levelled, simplifications, tiny):
    def compose(seed):
        composer = Composer(tiny.tokenizer, seed)
        composer.add_corpus(corpus, 3)
        composer.add_levels(levelled)
        composer.add_pairs(simplifications, 5)
        return composer.composed().parts

    assert np.array_equal(compose(1), compose(1))
    assert not np.array_equal(compose(1), compose(2))


def test_nothing_composes_nothing(tiny):
    with pytest.raises(ValueError, match="no text"):
        Composer(tiny.tokenizer, 0).composed()
