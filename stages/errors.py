"""The error that every stage raises for input that it cannot take."""


class InvalidRowError(ValueError):
    """One row of a batch is not valid; the message names the row and the reason."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row}: {reason}")
        self.row = row
        self.reason = reason
