"""Tables in, the same tables with scores out; cut off and gone on with."""

import csv
import io
import random

import pyarrow
import pyarrow.parquet
import pytest

from readability_triton.client.errors import InvalidRequestError, ServerUnreachableError
from readability_triton.client.scorer import Scorer
from readability_triton.client.table_files import open_table
from readability_triton.client.tables import TYPES, TableScoring

TEXTS = ["one", "", "with, a comma\nand a line", 'a "quoted" word', "  ", "forbidden fruit", "zwölf"] * 30
EXPECTED = [None if not text.strip() or "forbidden" in text else len(text.strip().encode()) / 2 for text in TEXTS]


def write_csv(path, texts=TEXTS, encoding="utf-8", separator=","):
    with path.open("w", newline="", encoding=encoding) as out:
        writer = csv.writer(out, delimiter=separator)
        writer.writerow(["id", "text", "note"])
        writer.writerows([number, text, f"n{number}"] for number, text in enumerate(texts))
    return path


def score_table(path, target, url, job=None, workers=4, prefix=""):
    scoring = TableScoring(open_table(path, "text"), target, prefix, job or {"job": 1})
    with Scorer(url=url) as scorer:
        return scoring.run(scorer, None, workers, lambda n_rows: None)


def read_csv(path, separator=","):
    return list(csv.DictReader(io.StringIO(path.read_text(), newline=""), delimiter=separator))


@pytest.mark.parametrize(
    ("name", "encoding", "separator"),
    [("t.csv", "utf-8", ","), ("t.csv", "utf-16", ","), ("t.csv", "utf-8-sig", ";"), ("t.tsv", "utf-8", "\t")],
)
def test_the_table_keeps_its_rows_order_and_gaps(tmp_path, http_wire, name, encoding, separator):
    path, target = write_csv(tmp_path / name, TEXTS, encoding, separator), tmp_path / f"out_{name}"
    outcome = score_table(path, target, http_wire.url)
    rows = read_csv(target, separator)
    assert list(rows[0]) == ["id", "text", "note", *TYPES]
    assert [(row["id"], row["text"], row["note"]) for row in rows] == [
        (str(number), text, f"n{number}") for number, text in enumerate(TEXTS)
    ]
    assert [float(row["score"]) if row["score"] else None for row in rows] == EXPECTED
    assert [row["error"] != "" for row in rows] == ["forbidden" in text for text in TEXTS]
    assert outcome == type(outcome)(scored=120, gaps=60, refused=30, resumed=0)
    assert not list(tmp_path.glob("*.part"))


def test_parquet_keeps_its_schema(tmp_path, http_wire):
    path, target = tmp_path / "t.parquet", tmp_path / "out.parquet"
    texts = [text or None for text in TEXTS]
    table = pyarrow.table({"text": texts, "when": pyarrow.array(range(len(texts)), pyarrow.timestamp("us"))})
    pyarrow.parquet.write_table(table.replace_schema_metadata({"made": "here"}), path, row_group_size=50)
    score_table(path, target, http_wire.url, prefix="r_")
    found = pyarrow.parquet.read_table(target)
    assert found.select(["text", "when"]).equals(table)
    assert found.schema.metadata[b"made"] == b"here"
    assert found.column("r_score").to_pylist() == EXPECTED
    assert found.schema.field("r_degraded").type == pyarrow.bool_()


def test_what_was_cut_off_goes_on_where_it_was(tmp_path, http_wire):
    texts = [f"{'x' * (number % 50 + 1)}" for number in range(500)]
    path, target = write_csv(tmp_path / "t.csv", texts), tmp_path / "out.csv"
    scoring = TableScoring(open_table(path, "text"), target, "", {"job": 1})

    def stop(n_rows):
        if len(http_wire.requests) >= 6:
            raise KeyboardInterrupt

    with Scorer(url=http_wire.url) as scorer, pytest.raises(KeyboardInterrupt):
        scoring.run(scorer, None, 2, stop)
    assert not target.exists()
    journal = scoring.journal.read_bytes()
    scoring.journal.write_bytes(journal[: len(journal) - random.Random(0).randrange(5, 20)])
    asked = len(http_wire.requests)
    outcome = score_table(path, target, http_wire.url)
    assert 0 < outcome.resumed < 500
    assert len(http_wire.requests) - asked <= (500 - outcome.resumed) / 4 + 16
    assert [float(row["score"]) for row in read_csv(target)] == [len(text) / 2 for text in texts]


def test_what_fails_half_way_is_in_the_journal(tmp_path, http_wire, closed_port):
    path, target = write_csv(tmp_path / "t.csv"), tmp_path / "out.csv"
    with pytest.raises(ServerUnreachableError):
        score_table(path, target, f"http://127.0.0.1:{closed_port}")
    assert not target.exists()
    assert score_table(path, target, http_wire.url).resumed == 0


def test_a_journal_of_another_job_is_refused(tmp_path, http_wire, closed_port):
    path, target = write_csv(tmp_path / "t.csv"), tmp_path / "out.csv"
    with pytest.raises(ServerUnreachableError):
        score_table(path, target, f"http://127.0.0.1:{closed_port}")
    with pytest.raises(InvalidRequestError, match=r"out\.csv\.part is of another job"):
        score_table(path, target, http_wire.url, job={"job": 2})


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("a,b\n1,2\n", "text", "column 'text' is not there; it has 'a', 'b'"),
        ("text,text\n1,2\n", "text", "is twice"),
        ("text,b\n1,2\n3\n", "text", "line 3: 1 cells, the header has 2"),
        ("", "text", "is not there"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path, content, column, message):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InvalidRequestError, match=message):
        open_table(path, column)


def test_columns_are_never_overwritten(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,score\na,1\n")
    with pytest.raises(InvalidRequestError, match="has columns score: pass another prefix"):
        TableScoring(open_table(path, "text"), tmp_path / "out.csv", "", {})


def test_parquet_that_is_none_or_no_text_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"hello")
    with pytest.raises(InvalidRequestError, match="is not Parquet"):
        open_table(path, "text")
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), path)
    with pytest.raises(InvalidRequestError, match="column text is int64, not text"):
        open_table(path, "text")
