import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.compare.workload import draw_lengths, of_texts, read_texts, texts_of_lengths


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.integers(1, 9))
def test_every_text_is_in_a_request_and_every_request_is_full(texts, batch):
    workload = of_texts(texts, batch, 0.25, None, "here")
    rows = [row[0].decode() for request in workload.requests for row in request["excerpt"]]
    assert rows[: len(texts)] == texts
    assert set(rows) == set(texts)
    assert all(request["excerpt"].shape == (batch, 1) for request in workload.requests)
    assert all(request["BERT_WEIGHT"].tolist() == [[0.25]] * batch for request in workload.requests)
    assert "tokens not counted" in workload.about()


def test_no_text_is_refused():
    with pytest.raises(ValueError, match="no text in here"):
        of_texts([], 1, 0.5, None, "here")


def test_texts_are_lines_or_the_column_excerpt(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n  two \n")
    (tmp_path / "a.csv").write_text('id,excerpt\n1,"one, and\nmore"\n2, \n')
    (tmp_path / "b.csv").write_text("id,text\n1,one\n")
    assert read_texts(tmp_path / "a.txt") == ["one", "two"]
    assert read_texts(tmp_path / "a.csv") == ["one, and\nmore"]
    with pytest.raises(ValueError, match="no column excerpt"):
        read_texts(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("distribution", "mean", "spread"),
    [("constant:180", 180, 0), ("uniform:50,150", 100, 29), ("normal:175,17", 175, 17), ("lognormal:100,0.1", 100, 10)],
)
def test_lengths_follow_their_distribution(distribution, mean, spread):
    lengths = draw_lengths(distribution, 2000, 0)
    assert np.mean(lengths) == pytest.approx(mean, rel=0.03)
    assert np.std(lengths) == pytest.approx(spread, rel=0.1, abs=0.5)
    assert lengths == draw_lengths(distribution, 2000, 0)


@pytest.mark.parametrize("distribution", ["", "180", "normal", "normal:a,b", "normal:1,2,3,4", "gamma:1", "constant:"])
def test_what_is_no_distribution_is_refused(distribution):
    with pytest.raises(ValueError, match="no distribution of words"):
        draw_lengths(distribution, 3, 0)


def test_lengths_stay_within_bounds():
    assert set(draw_lengths("normal:0,1", 100, 0)) <= {1, 2, 3}
    assert draw_lengths("constant:1e9", 1, 0) == [2000]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_texts_have_the_words_asked_for(lengths):
    texts = texts_of_lengths(["one two three.", "four five"], lengths, 0)
    assert [len(re.findall(r"\S+", text)) for text in texts] == lengths
