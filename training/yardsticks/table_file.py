"""Read CSV files of texts for the yardsticks."""

import csv
from collections.abc import Sequence
from pathlib import Path


class YardstickError(ValueError):
    """The file is not what the yardstick needs; the message names the file, the line and the reason."""


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file in UTF-8, none of whose required columns is empty.

    Raises:
        YardstickError: if a column is missing, a required value is empty, there are no rows, or it is not CSV in UTF-8.
        OSError: if the file cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            missing = [column for column in required if column not in (reader.fieldnames or ())]
            if missing:
                raise YardstickError(f"{path}: no column {', '.join(missing)}")
            rows = []
            for row in reader:
                empty = [column for column in required if not (row[column] or "").strip()]
                if empty:
                    raise YardstickError(f"{path}, line {reader.line_num}: no {empty[0]}")
                rows.append({column: value for column, value in row.items() if isinstance(value, str)})
        except (csv.Error, UnicodeDecodeError) as error:
            raise YardstickError(f"{path}, after line {reader.line_num}: {error}") from error
    if not rows:
        raise YardstickError(f"{path}: no rows")
    return rows
