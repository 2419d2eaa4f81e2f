"""Two answers of a request: every output counts, row by row, whatever its type."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from readability_triton.bls.stages import StageError
from readability_triton.bls.tensor_comparison import TensorComparator
from readability_triton.bls.twin import Request


def column(*values: Any, dtype: Any = np.float32) -> np.ndarray:
    return np.array(values, dtype=dtype)[:, None]


def gaps(first: Any, second: Any, is_batched: bool = True) -> list[float]:
    n_rows = len(next(iter(first.values()))) if is_batched else 1
    return TensorComparator(is_batched, n_rows).differences(first, second).tolist()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (column(1, 2), column(1, 2.5), [0, 0.5]),
        (column(math.nan, 1), column(math.nan, math.nan), [0, math.inf]),
        (column(math.inf, math.inf), column(math.inf, -math.inf), [0, math.inf]),
        (column(1, 2), column(1, 2, dtype=np.float64), [math.inf, math.inf]),
        (column(1, 2), np.zeros(2, np.float32), [math.inf, math.inf]),
        (column(b"a", b"b", dtype=object), column(b"a", b"c", dtype=object), [0, math.inf]),
        (column(True, False, dtype=bool), column(True, True, dtype=bool), [0, 1]),
        (column(2**63, 5, dtype=np.uint64), column(2**63, 3, dtype=np.uint64), [0, 2]),
        (column(2**53, 2**53, dtype=np.int64), column(2**53 + 1, 2**53, dtype=np.int64), [1, 0]),
    ],
)
def test_a_rows_difference_is_the_greatest_and_infinite_where_there_is_none(first, second, expected) -> None:
    same = column(*[0.0] * len(first))
    assert gaps({"A": first, "B": same}, {"A": second, "B": same}) == expected


def test_an_output_that_only_one_gives_differs() -> None:
    assert gaps({"A": column(1)}, {}) == [math.inf]
    assert gaps({"A": column(1)}, {"A": column(1), "B": column(1)}) == [math.inf]


def test_without_a_batch_all_is_one_row() -> None:
    assert gaps({"A": np.zeros(3)}, {"A": np.array([0.0, 2.0, 1.0])}, is_batched=False) == [2]


def test_what_is_no_answer_is_an_error() -> None:
    with pytest.raises(StageError, match="gave NoneType; expected outputs by name"):
        gaps({"A": column(1)}, None)


@given(arrays(np.float32, (4, 3), elements=st.floats(-100, 100, width=32)), st.integers(0, 3), st.integers(0, 2))
def test_only_the_row_that_was_changed_differs(values, row: int, at: int) -> None:
    changed = values.copy()
    changed[row, at] += 1
    found = gaps({"A": values}, {"A": changed})
    assert [gap > 0 for gap in found] == [number == row for number in range(4)]


def test_a_row_is_described_by_its_outputs_and_a_digest_of_its_inputs() -> None:
    request = Request({"text": column(b"secret", b"other", dtype=object)}, ["A", "B"])
    first = {"A": column(1, 2), "B": column(b"x", b"y", dtype=object), "C": column(0, 0)}
    second = {"A": column(1, 2.5), "B": column(b"x", b"z", dtype=object), "C": column(0, 0)}
    described = TensorComparator(True, 2).described(request, 1, first, second)
    assert described["outputs"] == {"A": 0.5, "B": None}
    assert "other" not in str(described)
    other = TensorComparator(True, 2).described(request, 0, first, second)
    assert described["sha256"] != other["sha256"]
