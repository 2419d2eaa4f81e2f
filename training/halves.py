"""Halves of excerpts: texts that no one has judged, for a teacher to judge."""

from collections.abc import Sequence

from readability_triton.stages.sentences import sentence_spans


def with_halves(texts: Sequence[str]) -> list[str]:
    """N texts, then their N first halves, then their N second halves."""
    firsts, seconds = zip(*map(halves, texts), strict=True)
    return [*texts, *firsts, *seconds]


def halves(text: str) -> tuple[str, str]:
    """Cut at the sentence end nearest to the middle; where one sentence is all, at the white space nearest to it.

    Raises:
        ValueError: if the text is a single word.
    """
    text = text.strip()
    ends = [end for _, end in sentence_spans(text) if text[end : end + 1].isspace()]  # never within a word
    if not ends:
        ends = [at for at, character in enumerate(text) if character.isspace() and text[:at].strip()]
    cut = min(ends, key=lambda end: abs(end - len(text) / 2), default=len(text))
    first, second = text[:cut].strip(), text[cut:].strip()
    if not (first and second):
        raise ValueError(f"one word cannot be cut in two: {text[:40]!r}")
    return first, second
