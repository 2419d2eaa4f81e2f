"""Show scored documents: a table for people, JSON and CSV for programs."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from readability_triton.client.documents import ScoredDocument, ScoredPassage

CSV_COLUMNS = (
    "document",
    "passage",
    "start",
    "end",
    "words",
    "score",
    "percentile",
    "low",
    "high",
    "level",
    "answered_by",
    "route",
    "degraded",
    "flags",
)

WORDS = {"short": "short", "not-prose": "not prose"}
"""Flags in words; those of languages say `in language fr`."""


def as_table(documents: Sequence[ScoredDocument]) -> Table:
    """A row a document; for one of several passages, its mean, then a row each, the hardest marked.

    Under `±` stands the larger of an interval's two sides.
    """
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("document", "words", "score", "±", "easier than", "CEFR"):
        table.add_column(column, justify="left" if column == "document" else "right", overflow="fold")
    for document in documents:
        n_words = sum(scored.passage.words for scored in document.passages)
        name = Text(document.name)
        if any(scored.degraded and not scored.is_refused for scored in document.passages):
            name.append("  degraded", style="bold red")
        name.append(_in_words(document), style="bold red")
        table.add_row(name, str(n_words), *_figures(document))
        if len(document.passages) > 1:
            for number, scored in enumerate(document.passages):
                is_hardest = number == document.hardest and not document.is_refused
                mark = "  ◀ hardest" if is_hardest else ""
                cells = (str(scored.passage.words), *_figures(scored))
                table.add_row(
                    f"  passage {number + 1}{mark}{_in_words(scored)}", *cells, style="dim" if not mark else "bold"
                )
    return table


def _in_words(scored: ScoredDocument | ScoredPassage) -> str:
    """Flags, and whether the text is refused for them, behind two blanks; empty without any."""
    if not scored.flags:
        return ""
    words = [WORDS.get(flag) or f"in language {flag.partition(':')[2]}" for flag in scored.flags]
    return "  " + ("refused: " if scored.is_refused else "") + ", ".join(words)


def _figures(scored: ScoredDocument | ScoredPassage) -> tuple[str, str, str, str]:
    """Score, the larger side of its interval rounded up, percentile, level; blank where not known."""
    share = "" if scored.percentile is None else f"{scored.percentile:.0f} %"
    score = "" if math.isnan(scored.score) else f"{scored.score:.2f}"
    return score, _larger_side(scored), share, scored.level or ""


def _larger_side(scored: ScoredDocument | ScoredPassage) -> str:
    if scored.interval is None:
        return ""
    low, high = scored.interval
    side = max(scored.score - low, high - scored.score)
    return f"{math.ceil(round(side * 100, 3)) / 100:.2f}"


def as_json(documents: Sequence[ScoredDocument]) -> str:
    """An object with the list `documents`."""
    return json.dumps({"documents": [_document(document) for document in documents]}, ensure_ascii=False, indent=2)


def as_csv(documents: Sequence[ScoredDocument]) -> str:
    """A line a passage, with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for document in documents:
        for number, scored in enumerate(document.passages, start=1):
            passage = scored.passage
            what = (_rounded(_known(scored.score), 4), *_meaning(scored).values())
            where = (document.name, number, passage.start, passage.end, passage.words)
            how = (" ".join(document.answered_by), scored.route, "true" if scored.degraded else "false")
            flags = None if scored.flags is None else ",".join(scored.flags)
            writer.writerow((*where, *what, *how, flags))
    return out.getvalue()


def _document(document: ScoredDocument) -> dict[str, Any]:
    return {
        "name": document.name,
        "score": _rounded(_known(document.score), 4),
        **_meaning(document),
        "flags": document.flags,
        "refused": document.is_refused,
        "hardest_passage": document.hardest + 1,
        "answered_by": document.answered_by,
        "passages": [
            {
                "start": scored.passage.start,
                "end": scored.passage.end,
                "words": scored.passage.words,
                "score": _rounded(_known(scored.score), 4),
                **_meaning(scored),
                "route": scored.route,
                "degraded": scored.degraded,
                "flags": scored.flags,
            }
            for scored in document.passages
        ],
    }


def _meaning(scored: ScoredDocument | ScoredPassage) -> dict[str, float | str | None]:
    """What a score means, in the order of the columns; None where not known."""
    low, high = scored.interval or (None, None)
    return {
        "percentile": _rounded(scored.percentile, 1),
        "low": _rounded(low, 4),
        "high": _rounded(high, 4),
        "level": scored.level,
    }


def _known(score: float) -> float | None:
    return None if math.isnan(score) else score


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
