"""The error that every stage raises names the row and the reason."""

import pytest

from readability_triton.stages.errors import InvalidRowError


def test_the_message_names_row_and_reason() -> None:
    error = InvalidRowError(3, "text is empty")
    assert str(error) == "row 3: text is empty"
    assert (error.row, error.reason) == (3, "text is empty")


def test_it_can_be_caught_as_a_value_error() -> None:
    with pytest.raises(ValueError, match="row 0: bad"):
        raise InvalidRowError(0, "bad")
