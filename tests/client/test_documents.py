from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from readability_triton.client import documents
from readability_triton.client.documents import (
    MUCH_TO_DO,
    ScoredDocument,
    ScoredPassage,
    mean_interval,
    score_accepted,
    score_documents,
)
from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.in_order import AHEAD
from readability_triton.client.passages import Passage, cut
from readability_triton.stages.cefr import NAMES
from readability_triton.stages.text import words
from readability_triton.training.bundle import DEFAULT_BUNDLE, Bundle, hash_text
from readability_triton.training.corpus import read_corpus


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


def refuse_forbidden(fake):
    """Refuse, as a served model does, a request with a text that is forbidden; the first row is named."""

    def refuse(model, texts):
        rows = [row for row, text in enumerate(texts) if b"forbidden" in text]
        return InferenceServerException(f"row {rows[0]}: forbidden", "400") if rows else None

    fake.refuse = refuse


@pytest.mark.parametrize("in_flight", [1, 4])
def test_refused_documents_are_named_and_all_others_scored_at_a_bounded_cost(
    fake, scorer, progress, announced, monkeypatch, in_flight
):
    monkeypatch.setattr(documents, "GROUP", 64)
    refuse_forbidden(fake)
    texts = ["It is forbidden." if n % 5 == 3 else f"Text number {n}." for n in range(200)]
    sent = [(str(n), text) for n, text in enumerate(texts)]
    scored, refused = score_accepted(scorer(in_flight=in_flight), sent, 1.0, progress)
    assert refused == dict.fromkeys(range(3, 200, 5), "forbidden")
    assert [each.name for each in scored] == [str(n) for n in range(200) if n % 5 != 3]
    assert [each.score for each in scored] == [len(text) for text in texts if "forbidden" not in text]
    (_, total), *steps = announced
    assert (total, sum(steps)) == (200, 200)
    assert min(steps) > 0
    # An accepted text is sent again once; a refusal costs its request of 4 and those already begun.
    begun = 1 if in_flight == 1 else AHEAD * in_flight
    assert sum(len(sent) for _, sent, _, _ in fake.infers) <= 2 * 160 + 40 * 4 * begun


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=12), st.integers(1, 6))
def test_whatever_is_refused_the_others_are_scored_in_order(fake, scorer, made_up_text, rows, group):
    refuse_forbidden(fake)
    sent = [
        (str(n), made_up_text(150 * parts, n) + " forbidden." * is_refused)
        for n, (parts, is_refused) in enumerate(rows)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "GROUP", group)
        scored, refused = score_accepted(scorer(), sent, 1.0)
    assert sorted(refused) == [n for n, (_, is_refused) in enumerate(rows) if is_refused]
    accepted = [each for n, each in enumerate(sent) if n not in refused]
    assert scored == (score_documents(scorer(), accepted, 1.0) if accepted else [])


def test_a_refusal_that_names_no_row_is_raised(fake, scorer):
    fake.refuse = lambda model, texts: InferenceServerException("no such parameter", "400")
    with pytest.raises(InvalidRequestError, match="no such parameter"):
        score_accepted(scorer(), [("a", "Some words.")], None)


@pytest.mark.parametrize(("scores", "expected"), [((1.0,), 0), ((1.0, -2.0, 0.5), 1), ((0.0, -1.0, -1.0), 1)])
def test_the_hardest_passage_has_the_lowest_score(scores, expected):
    assert document(*scores).hardest == expected


def test_a_documents_interval_is_the_mean_of_its_passages_ends_by_words_and_its_level_that_of_the_mean(
    calibrated, scorer, progress, made_up_text
):
    calibrated.parameters["level_line"] = "1.0 0.005 0.49"
    (scored,) = score_documents(scorer(), [("essay.txt", made_up_text(700))], None, progress)
    words = [part.passage.words for part in scored.passages]
    assert len(words) > 2
    for part in scored.passages:
        assert part.interval == pytest.approx((part.score - 1.0, part.score + 1.5))
        assert part.level == NAMES[int(1.5 + 0.005 * part.score) - 1]
    assert scored.interval == pytest.approx(np.average([part.interval for part in scored.passages], 0, words))
    assert scored.level == NAMES[int(1.5 + 0.005 * scored.score) - 1]


def test_a_passage_without_an_interval_or_a_level_leaves_its_documents_unknown(
    calibrated, scorer, progress, made_up_text
):
    calibrated.routing = lambda texts: (
        ["cuml"] + ["bert-large+cuml"] * (len(texts) - 1),
        [False] * len(texts),
    )
    mixed, whole = score_documents(scorer(), [("a", made_up_text(500)), ("b", made_up_text(100))], None, progress)
    assert [part.interval is None for part in mixed.passages] == [True, False, False]
    assert (mixed.interval, mixed.level, mixed.passages[0].level) == (None, None, None)
    assert None not in (whole.interval, whole.level)


@given(
    st.lists(
        st.tuples(st.floats(-5, 0), st.floats(0, 5), st.floats(-5, 5), st.integers(1, 215)), min_size=1, max_size=6
    )
)
def test_a_mean_of_intervals_holds_the_mean_where_each_holds_its_own(rows):
    low, high, inside, words = zip(*((low, high, min(max(at, low), high), n) for low, high, at, n in rows), strict=True)
    ends = mean_interval(list(zip(low, high, strict=True)), words)
    assert ends[0] - 1e-9 <= np.average(inside, weights=words) <= ends[1] + 1e-9
    assert ends[1] - ends[0] == pytest.approx(np.average(np.subtract(high, low), weights=words), abs=1e-9)


def test_where_all_errors_are_alike_the_mean_is_held_as_often_as_each_passage():
    rng = np.random.default_rng(0)
    errors = rng.standard_t(5, 20_000)
    low, high = np.quantile(errors, (0.05, 0.95))
    ends = mean_interval([(low, high), (2 * low, 2 * high)], [100, 180])
    means = np.average([errors, 2 * errors], axis=0, weights=[100, 180])
    assert np.mean((ends[0] <= means) & (means <= ends[1])) == pytest.approx(0.9, abs=0.001)


def test_where_errors_are_independent_the_mean_is_held_more_often():
    rng = np.random.default_rng(1)
    errors = rng.standard_t(5, (20_000, 4))
    low, high = np.quantile(errors, (0.05, 0.95))
    ends = mean_interval([(low, high)] * 4, [1, 1, 1, 1])
    means = errors.mean(axis=1)
    assert np.mean((ends[0] <= means) & (means <= ends[1])) > 0.97


SHARED_CORPUS = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"


@pytest.mark.skipif(not SHARED_CORPUS.is_file(), reason="needs the corpus in ../shared/clear")
def test_on_sources_with_several_excerpts_the_bundles_intervals_hold_the_mean_of_the_human_scores():
    corpus, bundle = read_corpus(SHARED_CORPUS), Bundle.load(DEFAULT_BUNDLE)
    kept = np.searchsorted(bundle.out_of_fold.texts, np.array([hash_text(text) for text in corpus.texts], np.uint64))
    lengths = np.array([len(words(text)) for text in corpus.texts])
    low, high = bundle.facts.interval.interval(bundle.out_of_fold.bert[kept].astype(float), lengths)
    by_source: dict[str, list[int]] = {}
    for row, url in enumerate(corpus.urls):
        by_source.setdefault(url, []).append(row)
    held = []
    for rows in (rows for rows in by_source.values() if len(rows) > 1):
        ends = mean_interval(list(zip(low[rows], high[rows], strict=True)), lengths[rows])
        held.append(ends[0] <= np.average(corpus.targets[rows], weights=lengths[rows]) <= ends[1])
    assert len(held) == 92
    assert np.mean(held) == pytest.approx(0.989, abs=0.001)
