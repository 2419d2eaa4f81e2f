"""Every format gives the same rows; what is wrong with one row stays with it."""

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("ray", reason="needs the extra [bulk], 140 MB, which requirements.lock leaves out: `make bulk`")

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from readability_triton.bulk.rows import UNREADABLE, Columns, check_columns, read_chunks
from readability_triton.bulk.sources import find_sources
from readability_triton.bulk.storage import locate

TEXTS = ["One text.", "Zwei – “Texte”.", 'with "quotes", commas\nand lines']

TEXT = Columns("text")


def chunks(path: Path, columns: Columns = TEXT, size: int = 2, finished: frozenset[int] = frozenset()):
    place = locate(str(path))
    return [
        chunk
        for source in find_sources(place, None, size)
        for chunk in read_chunks(place.filesystem, source, columns, size, finished)
    ]


def rows(path: Path, columns: Columns = TEXT):
    return [row for chunk in chunks(path, columns) for row in chunk.rows]


def written(folder: Path, style: str) -> Path:
    if style == "parquet":
        pq.write_table(pa.table({"id": ["a", "b", "c"], "text": TEXTS}), folder / "a.parquet")
    elif style == "csv":
        pa.csv.write_csv(pa.table({"id": ["a", "b", "c"], "text": TEXTS}), folder / "a.csv")
    else:
        lines = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in zip("abc", TEXTS, strict=True))
        if style == "jsonl.gz":
            (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        else:
            (folder / "a.jsonl").write_text(lines)
    return folder


@pytest.mark.parametrize("style", ["parquet", "csv", "jsonl", "jsonl.gz"])
def test_every_format_gives_the_same_rows(style: str, tmp_path: Path) -> None:
    found = chunks(written(tmp_path, style), Columns("text", ("id",)))
    assert [[row.text.decode() for row in chunk.rows] for chunk in found] == [TEXTS[:2], TEXTS[2:]]
    assert [row.kept for chunk in found for row in chunk.rows] == [("a",), ("b",), ("c",)]
    assert [(chunk.number, chunk.is_last, chunk.is_whole) for chunk in found] == [(0, False, True), (1, True, True)]
    assert [row.number for chunk in found for row in chunk.rows] == [0, 1, 2]
    (file,) = tmp_path.iterdir()
    assert sum(chunk.n_bytes for chunk in found) == file.stat().st_size


def test_a_folder_of_texts_is_a_row_a_file(tmp_path: Path) -> None:
    for name, text in zip("abc", TEXTS, strict=True):
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "_ignored.txt").write_text("no")
    found = chunks(tmp_path)
    assert [len(chunk.rows) for chunk in found] == [2, 1]
    assert [row.text.decode() for chunk in found for row in chunk.rows] == TEXTS
    assert [Path(row.file).name for chunk in found for row in chunk.rows] == ["a.txt", "b.txt", "c.txt"]


@given(st.integers(0, 30), st.integers(1, 12), st.sets(st.integers(0, 12)))
def test_chunks_hold_every_row_once_but_those_that_are_finished(n_rows: int, size: int, finished: set[int]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "a.jsonl")
        file.write_text("".join(json.dumps({"text": str(row)}) + "\n" for row in range(n_rows)))
        found = chunks(file, size=size, finished=frozenset(finished))
    expected = [row for row in range(n_rows) if row // size not in finished]
    assert [row.number for chunk in found for row in chunk.rows] == expected
    last = max(n_rows - 1, 0) // size
    assert [chunk.number for chunk in found if chunk.is_last] == [last] * (last not in finished)


def test_bad_lines_of_json_keep_their_reason(tmp_path: Path) -> None:
    lines = [b'{"text": "fine"}', b"{", b"[1]", b'{"text": 5}', b"{}", b'{"text": "\xff"}', b'{"text": "\\ud800"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    found = rows(tmp_path)
    assert found[0].text == b"fine"
    reasons = [
        "",
        "row is not JSON",
        "row is not a JSON object",
        "text is not a string: int",
        "text is missing",
        "",
        "",
    ]
    assert [row.error.startswith(reason) for row, reason in zip(found, reasons, strict=True)] == [True] * 7
    assert found[5].text == b"\xff"
    with pytest.raises(UnicodeDecodeError):
        found[6].text.decode()


def test_a_csv_row_with_missing_fields_is_one_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,fine\n2\n3,\xff\n4,fine\n")
    found = rows(tmp_path, Columns("text", ("id",)))
    assert [row.text for row in found] == [b"fine", None, b"\xff", b"fine"]
    assert found[1].error == "row has another number of fields than the header: 1, not 2"


@pytest.mark.parametrize("keep", [0, 100, 900])
def test_a_truncated_file_gives_its_readable_rows_and_one_that_says_so(keep: int, tmp_path: Path) -> None:
    text = "".join(json.dumps({"text": f"{row} {row * 7919}"}) + "\n" for row in range(400)).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text)[:keep] or b"nothing of gzip")
    found = chunks(tmp_path, size=64)
    assert [chunk.is_whole for chunk in found] == [True] * (len(found) - 1) + [False]
    assert found[-1].rows[-1].error.startswith(UNREADABLE)
    assert all(row.text for chunk in found for row in chunk.rows[:-1])


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    place = locate(str(written(tmp_path, "parquet")))
    (source,) = find_sources(place, None, 2)
    with pytest.raises(ValueError, match="no column 'body'; there are 'id', 'text'"):
        check_columns(place.filesystem, source, Columns("body"))


def test_a_folder_of_several_formats_needs_one_named(tmp_path: Path) -> None:
    written(tmp_path, "parquet")
    written(tmp_path, "jsonl")
    with pytest.raises(ValueError, match="holds jsonl, parquet: say which with --format"):
        find_sources(locate(str(tmp_path)), None, 2)
    assert [source.style for source in find_sources(locate(str(tmp_path)), "jsonl", 2)] == ["jsonl"]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_sources(locate(str(tmp_path)), None, 2)
    with pytest.raises(FileNotFoundError):
        find_sources(locate(str(tmp_path / "none")), None, 2)
