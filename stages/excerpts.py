"""Stage `preprocess`, the gate: from the bytes of a STRING tensor to texts that can be scored."""

from collections.abc import Iterable

from readability_triton.stages.errors import InvalidRowError

MOST_BYTES = 1 << 20
"""Of one text: some 170,000 words, far more than any excerpt has. One of 60 MB would keep everyone waiting for long."""


def decode(rows: Iterable[bytes | str]) -> list[str]:
    """Decode the elements of a STRING tensor.

    Raises:
        InvalidRowError: for the first row that is not UTF-8, is empty, holds only white space, or is over a mebibyte.
    """
    return [_decode_row(row, value) for row, value in enumerate(rows)]


def _decode_row(row: int, value: bytes | str) -> str:
    if len(value) > MOST_BYTES:
        raise InvalidRowError(row, f"text has {len(value)} bytes, more than {MOST_BYTES}")
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRowError(row, f"text is not UTF-8: {error.reason} at byte {error.start}") from error
    if not value.strip():
        raise InvalidRowError(row, "text is empty" if not value else "text holds only white space")
    return value
