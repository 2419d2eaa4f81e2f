import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.training.yardsticks.pairs import Pairs, pairs_in_order, read_pairs
from readability_triton.training.yardsticks.table_file import YardstickError


def by_length(texts):
    """Two scorers: shorter is easier, and the contrary."""
    lengths = np.array([len(text) for text in texts], dtype=float)
    return np.stack([-lengths, lengths])


def write(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9)), min_size=1, max_size=20))
def test_the_share_of_pairs_whose_easier_text_scores_higher(pairs):
    harder, easier = map(list, zip(*pairs, strict=True))
    figure = pairs_in_order(Pairs(harder, easier), by_length, "made up")
    points = [1.0 if len(b) < len(a) else 0.5 if len(a) == len(b) else 0.0 for a, b in pairs]
    np.testing.assert_allclose(figure.values, [np.mean(points), 1 - np.mean(points)], atol=1e-12)
    assert figure.n == len(pairs)


def test_each_distinct_text_is_scored_once():
    scored = []

    def score(texts):
        scored.extend(texts)
        return by_length(texts)

    pairs_in_order(Pairs(["aaaa", "aaa"], ["aaa", "aa"]), score, "levels")
    assert sorted(scored) == ["aa", "aaa", "aaaa"]


def test_pairs_are_read_as_they_stand(tmp_path):
    path = write(tmp_path / "pairs.csv", ["id", "harder", "easier"], [[1, "a, b", "c"], [2, "d\ne", "f"]])
    assert read_pairs(path) == Pairs(["a, b", "d\ne"], ["c", "f"])


def test_ten_sentences_make_a_passage_with_one_persons_simplifications(tmp_path):
    rows = [[f"o{row}", f"p{row}", f"q{row}"] for row in range(25)]
    pairs = read_pairs(write(tmp_path / "s.csv", ["original", "simple_0", "simple_1"], rows))
    assert len(pairs.harder) == 4
    assert pairs.harder[1] == " ".join(f"o{row}" for row in range(10, 20))
    assert pairs.easier[1] == " ".join(f"p{row}" for row in range(10, 20))
    assert pairs.easier[2] == " ".join(f"q{row}" for row in range(10))


@pytest.mark.parametrize(
    ("header", "rows", "reason"),
    [
        (["text", "easier"], [["a", "b"]], "columns harder and easier, or original and simple_0"),
        (["original"], [["a"]] * 10, "columns harder and easier"),
        (["harder", "easier"], [], "no rows"),
        (["harder", "easier"], [["a", "b"], ["c", " "]], "line 3: no easier"),
        (["original", "simple_0"], [["a", "b"]] * 9, "9 sentences, 10 make one passage"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, header, rows, reason):
    with pytest.raises(YardstickError, match=reason):
        read_pairs(write(tmp_path / "pairs.csv", header, rows))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"harder,easier\n\xff,b\n")
    with pytest.raises(YardstickError, match=r"pairs\.csv"):
        read_pairs(tmp_path / "pairs.csv")
