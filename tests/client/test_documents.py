from contextlib import contextmanager

import numpy as np
import pytest

from readability_triton.client.documents import MUCH_TO_DO, ScoredDocument, ScoredPassage, score_documents
from readability_triton.client.passages import Passage, cut


@pytest.fixture
def announced() -> list:
    return []


@pytest.fixture
def progress(announced):
    @contextmanager
    def show(title, total):
        announced.append((title, total))
        yield announced.append

    return show


def document(*scores: float) -> ScoredDocument:
    passages = [ScoredPassage(Passage(0, 1, "a", 1), score, None) for score in scores]
    return ScoredDocument("a", 0.0, None, passages, ["bls_pipeline"])


def test_a_documents_score_is_the_mean_over_passages_weighted_by_their_words(scorer, progress, made_up_text):
    text = made_up_text(700)
    (scored,) = score_documents(scorer(), [("essay.txt", text)], 1.0, progress)
    parts = cut(text)
    truth = sum(len(part.text) * part.words for part in parts) / sum(part.words for part in parts)
    assert len(parts) > 2
    assert scored.score == pytest.approx(truth)
    assert [each.score for each in scored.passages] == [len(part.text) for part in parts]
    assert [each.passage for each in scored.passages] == parts


def test_documents_come_in_order_each_with_its_own_passages(scorer, progress, made_up_text):
    texts = [made_up_text(n_words, n_words) for n_words in (90, 420, 9, 230)]
    scored = score_documents(scorer(), [(f"{n}.txt", text) for n, text in enumerate(texts)], None, progress)
    assert [each.name for each in scored] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    for each, text in zip(scored, texts, strict=True):
        assert [part.passage for part in each.passages] == cut(text)
        assert [part.score for part in each.passages] == [len(part.text) / 2 for part in cut(text)]


def test_percentiles_are_of_the_mean_and_of_each_passage(scorer, progress, made_up_text):
    (scored,) = score_documents(scorer(), [("a", made_up_text(400))], 0.01, progress)
    for each in (scored, *scored.passages):
        assert each.percentile == pytest.approx(np.interp(each.score, [0, 50, 100], [0, 50, 100]))


def test_a_server_without_a_scale_gives_no_percentiles(fake, scorer, progress):
    fake.parameters = {"bert_weight": "1"}
    (scored,) = score_documents(scorer(), [("a", "Some words.")], None, progress)
    assert scored.percentile is None
    assert scored.passages[0].percentile is None


def test_a_text_without_a_word_is_scored_all_the_same(scorer, progress):
    (scored,) = score_documents(scorer(), [("a", " ?! ")], 1.0, progress)
    assert scored.score == 2


def test_who_answered_is_reported_for_each_document(fake, scorer, progress):
    fake.max_batch_size = 1
    down = ConnectionRefusedError(111, "refused")
    fake.refuse = lambda model, texts: down if model == "bls_pipeline" and texts == [b"Two."] else None
    scored = score_documents(scorer(), [("a", "One."), ("b", "Two.")], None, progress)
    assert [each.answered_by for each in scored] == [["bls_pipeline"], ["ensemble_all"]]


@pytest.mark.parametrize(("n_documents", "shown"), [(MUCH_TO_DO, False), (MUCH_TO_DO + 1, True)])
def test_progress_is_shown_where_there_is_much_to_do(scorer, progress, announced, n_documents, shown):
    score_documents(scorer(), [("a", "Some words.")] * n_documents, None, progress)
    if shown:
        (title, total), *steps = announced
        assert (title, total) == ("scoring", n_documents)
        assert sum(steps) == n_documents
    else:
        assert announced == []


@pytest.mark.parametrize(("scores", "expected"), [((1.0,), 0), ((1.0, -2.0, 0.5), 1), ((0.0, -1.0, -1.0), 1)])
def test_the_hardest_passage_has_the_lowest_score(scores, expected):
    assert document(*scores).hardest == expected
