"""Cut a document into passages as long as the excerpts that the models were trained on."""

import re
from math import ceil
from typing import NamedTuple

from readability_triton.stages.sentences import sentence_spans
from readability_triton.stages.text import words

WORDS_PER_PASSAGE = 180
LONGEST_EXCERPT = 205
"""Words in the longest training excerpt; a document no longer than that is one passage."""


class Passage(NamedTuple):
    """Part of a document.

    Attributes:
        start, end: where it stands in the document, in characters.
        text: the part itself.
        words: how many words it has.
    """

    start: int
    end: int
    text: str
    words: int


def cut(document: str) -> list[Passage]:
    """Passages of about the same length, 103 to 180 words on average, that end where sentences end.

    A sentence too long for a passage is cut between words. A document without a word is one passage.
    """
    pieces = [piece for span in sentence_spans(document) for piece in _bounded(document, *span)]
    lengths = [len(words(document[start:end])) for start, end in pieces]
    total = sum(lengths)
    if total <= LONGEST_EXCERPT:
        return [_passage(document, 0, len(document))]
    share = total / max(2, ceil(total / WORDS_PER_PASSAGE))
    passages: list[Passage] = []
    first, done = 0, 0
    for last, length in enumerate(lengths):
        done += length
        is_last = last + 1 == len(lengths)
        boundary = (len(passages) + 1) * share
        if is_last or boundary - done <= done + lengths[last + 1] - boundary:
            passages.append(_passage(document, pieces[first][0], pieces[last][1]))
            first = last + 1
    return passages


def _bounded(document: str, start: int, end: int) -> list[tuple[int, int]]:
    """The span itself, or parts of it of about `WORDS_PER_PASSAGE` words, cut at white space; none without a word."""
    total = len(words(document[start:end]))
    if total <= LONGEST_EXCERPT:
        return [(start, end)] if total else []
    parts, part_start, count = [], start, 0
    for chunk in re.finditer(r"\S+", document[start:end]):
        count += len(words(chunk.group()))
        if count >= WORDS_PER_PASSAGE:
            parts.append((part_start, start + chunk.end()))
            part_start, count = start + chunk.end(), 0
    return [*parts, (part_start, end)] if count else [*parts[:-1], (parts[-1][0], end)]


def _passage(document: str, start: int, end: int) -> Passage:
    text = document[start:end].strip()
    start += len(document[start:end]) - len(document[start:end].lstrip())
    return Passage(start, start + len(text), text, len(words(text)))
