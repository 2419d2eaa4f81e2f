import numpy as np
import pandas
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.rows import read_rows

GAPS = [None, float("nan"), np.float32("nan"), np.float64("nan"), pandas.NA, pandas.NaT, pyarrow.scalar(None)]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=9) | st.binary(max_size=9) | st.none()))
def test_texts_keep_their_rows_and_gaps_are_left_out(texts):
    rows = read_rows(texts, "nan")
    assert rows.total == len(texts)
    given_texts = [(row, text) for row, text in enumerate(texts) if text is not None]
    assert rows.at.tolist() == [row for row, _ in given_texts]
    assert rows.texts == [text.encode() if isinstance(text, str) else text for _, text in given_texts]


@pytest.mark.parametrize("text", ["one string", b"bytes", bytearray(b"x"), memoryview(b"x"), np.str_("numpy's")])
def test_a_single_text_is_no_list(text):
    with pytest.raises(InvalidRequestError, match="single text: pass a list") as refused:
        read_rows(text, "refuse")
    assert refused.value.row is None


@pytest.mark.parametrize(
    "texts", [None, 7, 1.5, {"a": "b"}, {"a", "b"}, np.array([["a"]]), pandas.DataFrame({"a": ["b"]})]
)
def test_what_has_no_order_or_more_than_one_dimension_is_refused(texts):
    with pytest.raises(InvalidRequestError, match=r"pass a list of strings|dimensions: pass one column") as refused:
        read_rows(texts, "nan")
    assert refused.value.row is None


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: f"{type(gap).__name__}")
def test_a_gap_is_refused_by_row_and_is_a_gap_where_asked(gap):
    with pytest.raises(InvalidRequestError, match="row 1: no text") as refused:
        read_rows(["a", gap, "b"], "refuse")
    assert refused.value.row == 1
    assert read_rows(["a", gap, "b"], "nan").at.tolist() == [0, 2]


@pytest.mark.parametrize("missing", ["refuse", "nan"])
@pytest.mark.parametrize("value", [3, 2.5, True, np.int64(3), ["nested"], {"a": 1}, object(), np.array("x")])
def test_what_is_no_text_is_never_scored(missing, value):
    with pytest.raises(InvalidRequestError, match=r"row 2: .* is no text") as refused:
        read_rows(["a", "b", value], missing)
    assert refused.value.row == 2


def test_half_a_surrogate_pair_is_refused_by_row():
    with pytest.raises(InvalidRequestError, match="row 1: text cannot be written as UTF-8"):
        read_rows(["a", "\ud800"], "refuse")


@pytest.mark.parametrize(
    "column",
    [
        pandas.Series(["a", None, "b"], index=[7, 7, 3]),
        pandas.Series(["a", pandas.NA, "b"], dtype="string"),
        pandas.Series(["a", np.nan, "b"], dtype=object),
        pandas.Series(["a", None, "b"], dtype="category"),
        pandas.Index(["a", None, "b"]),
        np.array(["a", None, "b"], dtype=object),
        pyarrow.array(["a", None, "b"]),
        pyarrow.chunked_array([["a", None], ["b"]]),
        (text for text in ("a", None, "b")),
    ],
    ids=["pandas", "string", "object", "category", "index", "numpy", "arrow", "chunked", "generator"],
)
def test_columns_are_read_in_order_whatever_their_index(column):
    assert read_rows(column, "nan")[0::2] == ([b"a", b"b"], 3)


def test_numpys_own_strings_and_bytes_are_texts():
    assert read_rows(np.array(["a", "bc"]), "refuse").texts == [b"a", b"bc"]
    assert read_rows(np.array([b"a", b"bc"]), "refuse").texts == [b"a", b"bc"]
    assert read_rows([bytearray(b"a"), memoryview(b"b")], "refuse").texts == [b"a", b"b"]


def test_another_word_for_missing_is_refused():
    with pytest.raises(ValueError, match="neither 'refuse' nor 'nan'"):
        read_rows(["a"], "drop")
