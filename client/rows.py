"""Texts as callers have them, as the rows of a request; and the rows that hold no text."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from readability_triton.client.errors import InvalidRequestError

Missing = Literal["refuse", "nan"]


class Rows(NamedTuple):
    """The texts of a call.

    Attributes:
        texts: UTF-8, of the rows that hold one.
        at: which rows these are, INT64.
        total: number of rows, with the others.
    """

    texts: list[bytes]
    at: NDArray[np.int64]
    total: int


def read_rows(texts: Iterable[Any], missing: Missing) -> Rows:
    """Encode texts.

    Args:
        texts: strings, or bytes in UTF-8, in anything that has an order: a list, a pandas column, a NumPy array [N].
        missing: what to do with None, NaN and the gaps of pandas and PyArrow.

    Raises:
        InvalidRequestError: if `texts` is one string or has no order, or a row holds no text, or half a surrogate pair.
        ValueError: if `missing` is neither "refuse" nor "nan".
    """
    if missing not in ("refuse", "nan"):
        raise ValueError(f"missing={missing!r} is neither 'refuse' nor 'nan'")
    if isinstance(texts, str | bytes | bytearray | memoryview):
        raise InvalidRequestError("texts is a single text: pass a list, such as score([text])")
    if isinstance(texts, Mapping | Set) or not isinstance(texts, Iterable):
        raise InvalidRequestError(f"texts is a {type(texts).__name__}: pass a list of strings")
    if getattr(texts, "ndim", 1) != 1:
        raise InvalidRequestError(f"texts has {getattr(texts, 'ndim', 0)} dimensions: pass one column of it")
    encoded, at, total = [], [], 0
    for row, text in enumerate(texts):
        total += 1
        if (one := _encoded(row, text, missing)) is not None:
            encoded.append(one)
            at.append(row)
    return Rows(encoded, np.array(at, dtype=np.int64), total)


def is_gap(value: Any) -> bool:
    """Whether a value stands for one that is not there: None, NaN, pandas' NA and NaT."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, np.floating) and bool(np.isnan(value)))


def _encoded(row: int, text: Any, missing: Missing) -> bytes | None:
    if hasattr(text, "as_py"):  # a scalar of PyArrow
        text = text.as_py()
    if isinstance(text, str):
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError(
                f"text cannot be written as UTF-8: {error.reason} at {error.start}", row
            ) from error
    if isinstance(text, bytes | bytearray | memoryview):
        return bytes(text)
    if not is_gap(text):
        raise InvalidRequestError(f"{type(text).__name__} is no text: pass a string, or bytes in UTF-8", row)
    if missing == "refuse":
        raise InvalidRequestError(f'no text ({text}): fill it, drop the row, or pass missing="nan"', row)
    return None


def row_in_call(error: InvalidRequestError, at: Sequence[int] | NDArray[np.int64]) -> InvalidRequestError:
    """The same error with its row counted over all rows of the call, `at` being those that were sent."""
    return error if error.row is None else InvalidRequestError(error.reason, int(at[error.row]))
