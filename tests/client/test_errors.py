from readability_triton.client.errors import InvalidRequestError


def test_a_refused_row_is_named_in_the_message():
    error = InvalidRequestError("text is empty", 7)
    assert (error.row, error.reason, str(error)) == (7, "text is empty", "row 7: text is empty")


def test_row_0_is_a_row():
    assert str(InvalidRequestError("text is empty", 0)) == "row 0: text is empty"
