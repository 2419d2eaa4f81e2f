import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from readability_triton.cli.report import CSV_COLUMNS, as_csv, as_json, as_table
from readability_triton.client.documents import ScoredDocument, ScoredPassage
from readability_triton.client.passages import Passage
from readability_triton.stages.cefr import NAMES

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
numbers = st.floats(-5, 5)
shares = st.none() | st.floats(0, 100)
intervals = st.none() | st.tuples(st.floats(-9, -5), st.floats(5, 9))
levels = st.none() | st.sampled_from(NAMES)


@st.composite
def documents(draw) -> ScoredDocument:
    parts, at = [], 0
    for _ in range(draw(st.integers(1, 4))):
        words = draw(st.integers(1, 205))
        passage = Passage(at, at + 3 * words, "x" * 3 * words, words)
        meaning = {"interval": draw(intervals), "level": draw(levels)}
        parts.append(ScoredPassage(passage, draw(numbers), draw(shares), **meaning))
        at += 3 * words + 1
    answered_by = draw(st.sampled_from([["bls_pipeline"], ["bls_pipeline", "ensemble_all"]]))
    return ScoredDocument(draw(names), draw(numbers), draw(shares), parts, answered_by, draw(intervals), draw(levels))


def shown(*given_documents: ScoredDocument) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(as_table(given_documents))
    return console.file.getvalue()


def document(name: str, *scores: float, percentile: float | None = 40.0) -> ScoredDocument:
    parts = [ScoredPassage(Passage(0, 9, "words and", 100 + n), score, percentile) for n, score in enumerate(scores)]
    return ScoredDocument(name, sum(scores) / len(scores), percentile, parts, ["bls_pipeline"])


def near(value: float | None, digits: int):
    return None if value is None else pytest.approx(value, abs=0.51 * 10**-digits)


@given(st.lists(documents(), max_size=3))
def test_json_shows_everything_about_each_document(given_documents):
    record = json.loads(as_json(given_documents))["documents"]
    for each, truth in zip(record, given_documents, strict=True):
        assert each["name"] == truth.name
        assert each["score"] == near(truth.score, 4)
        assert each["percentile"] == near(truth.percentile, 1)
        assert each["answered_by"] == truth.answered_by
        for shown, known in ((each, truth), *zip(each["passages"], truth.passages, strict=True)):
            low, high = known.interval or (None, None)
            assert (shown["low"], shown["high"], shown["level"]) == (near(low, 4), near(high, 4), known.level)
        lowest = min(passage["score"] for passage in each["passages"])
        assert each["passages"][each["hardest_passage"] - 1]["score"] == near(lowest, 3)
        assert [(one["start"], one["end"], one["words"]) for one in each["passages"]] == [
            (one.passage.start, one.passage.end, one.passage.words) for one in truth.passages
        ]


@given(st.lists(documents(), max_size=3))
def test_csv_has_a_line_a_passage_whatever_the_documents_name(given_documents):
    rows = list(csv.DictReader(io.StringIO(as_csv(given_documents))))
    expected = [(each, n, part) for each in given_documents for n, part in enumerate(each.passages, start=1)]
    for row, (each, number, part) in zip(rows, expected, strict=True):
        assert tuple(row) == CSV_COLUMNS
        assert (row["document"], int(row["passage"])) == (each.name, number)
        assert (int(row["start"]), int(row["end"]), int(row["words"])) == part.passage[:2] + part.passage[3:]
        assert float(row["score"]) == near(part.score, 4)
        assert (float(row["percentile"]) if row["percentile"] else None) == near(part.percentile, 1)
        assert row["answered_by"].split() == each.answered_by
        ends = part.interval or (None, None)
        assert [float(row[end]) if row[end] else None for end in ("low", "high")] == [near(end, 4) for end in ends]
        assert row["level"] == (part.level or "")


def test_neither_json_nor_csv_repeats_the_text():
    one = document("a.txt", 1.0)
    assert "words and" not in as_json([one]) + as_csv([one])


def test_json_keeps_letters_as_they_are():
    assert "Größe.txt" in as_json([document("Größe.txt", 1.0)])


def test_the_table_has_one_row_for_a_document_of_one_passage():
    lines = [line.split() for line in shown(document("essay.txt", -1.234)).splitlines() if "essay" in line]
    assert lines == [["essay.txt", "100", "-1.23", "40", "%"]]
    assert "passage" not in shown(document("essay.txt", -1.234))


def test_the_table_shows_the_mean_every_passage_and_the_hardest():
    lines = [line.split() for line in shown(document("book.txt", 0.5, -2.0, 0.9)).splitlines()]
    assert ["book.txt", "303", "-0.20", "40", "%"] in lines
    assert ["passage", "1", "100", "0.50", "40", "%"] in lines
    assert ["passage", "2", "◀", "hardest", "101", "-2.00", "40", "%"] in lines
    assert ["passage", "3", "102", "0.90", "40", "%"] in lines


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((-2.0, 0.0), "1.00"), ((-2.5, -0.2), "1.50"), ((-1.2, 0.401), "1.41"), ((-1.0, -1.0), "0.00")],
)
def test_the_table_shows_the_larger_side_of_an_interval_never_rounded_down(interval, expected):
    passage = ScoredPassage(Passage(0, 9, "words and", 100), -1.0, 40.0, interval=interval, level="B2")
    one = ScoredDocument("essay.txt", -1.0, 40.0, [passage], ["bls_pipeline"], interval, "B2")
    (line,) = [line.split() for line in shown(one).splitlines() if "essay" in line]
    assert line == ["essay.txt", "100", "-1.00", expected, "40", "%", "B2"]
    assert all(head in shown(one) for head in ("±", "CEFR"))


def test_only_the_hardest_of_several_passages_is_marked():
    assert shown(document("a", 1.0, 2.0), document("b", 3.0)).count("hardest") == 1


def test_the_table_leaves_a_percentile_out_that_is_not_known():
    assert "%" not in shown(document("a", 1.0, 2.0, percentile=None))


@pytest.mark.parametrize(
    "name", ["essay[final].txt", "[red]list.txt", "notes[/old].txt", "a\\[b].txt", ":bug:.txt", "-"]
)
def test_the_table_shows_a_name_as_it_is(name):
    assert name in shown(document(name, 1.0))


def test_a_degraded_document_is_marked_everywhere():
    passage = ScoredPassage(Passage(0, 9, "words and", 100), -1.0, 50.0, "cuml", True)
    document = ScoredDocument("essay.txt", -1.0, 50.0, [passage], ["bls_pipeline"])
    (record,) = json.loads(as_json([document]))["documents"][0]["passages"]
    assert (record["route"], record["degraded"]) == ("cuml", True)
    (row,) = csv.DictReader(io.StringIO(as_csv([document])))
    assert (row["route"], row["degraded"]) == ("cuml", "true")
    assert "degraded" in shown(document)


def test_flags_are_shown_in_every_format_and_a_refused_document_has_no_score():
    flags = ("short", "language:fr")
    passage = ScoredPassage(Passage(0, 9, "words and", 2), math.nan, None, "refused", True, flags=flags)
    refused = ScoredDocument("essay.txt", math.nan, None, [passage], ["bls_pipeline"])
    (record,) = json.loads(as_json([refused]))["documents"]
    assert (record["score"], record["flags"], record["refused"]) == (None, list(flags), True)
    assert (record["passages"][0]["score"], record["passages"][0]["flags"]) == (None, list(flags))
    (row,) = csv.DictReader(io.StringIO(as_csv([refused])))
    assert (row["score"], row["flags"]) == ("", "short,language:fr")
    assert "refused: short, in language fr" in " ".join(shown(refused).split())
    flagged = ScoredDocument("a", 1.0, None, [ScoredPassage(passage.passage, 1.0, None, flags=("not-prose",))], ["m"])
    assert "not prose" in shown(flagged)
    assert "refused" not in shown(flagged)


def test_a_document_that_nobody_checked_has_no_flags_rather_than_none_found():
    assert json.loads(as_json([document("a", 1.0)]))["documents"][0]["flags"] is None
