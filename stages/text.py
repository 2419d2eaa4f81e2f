"""Words, punctuation marks and sentences: the counting rules, written down once.

Every implementation of the features must pass the table of cases in `tests/stages/test_text.py`.

- A *word* is a run of letters and digits, joined over a single apostrophe inside it (``don't``, ``o’clock``),
  in lower case. Everything else separates words: ``well-known`` is two words, ``snake_case`` is two.
- A *punctuation mark* is one character of ``PUNCTUATION``; each character counts, inside words too.
- A *sentence* ends at ``.``, ``!``, ``?`` or ``…`` (a run counts once), with closing quotes and brackets after it,
  before white space or the end; not where a small Latin letter goes on after the white space (``“Stop!” he said.`` is
  one). A full stop after an abbreviation of ``ABBREVIATIONS`` or after a single capital A to Z (an initial) ends none.
  What follows the last end is a sentence if it holds a word.

Counting takes time in proportion to the text: the patterns are possessive, so that no run of marks is read twice.
"""

import re
import string
from collections.abc import Iterator

PUNCTUATION = string.punctuation + "“”‘’«»–—…¡¿"

ABBREVIATIONS = (
    *("mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "sr", "jr", "messrs", "capt", "col", "gen", "lt", "sgt"),
    *("vs", "etc", "fig", "figs", "vol", "vols", "ch", "pp", "ed", "cf", "viz", "approx", "dept", "inc", "ltd", "co"),
    *("jan", "feb", "aug", "sept", "oct", "nov", "dec", "e.g", "i.e", "a.m", "p.m", "u.s"),
)

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_MARK = re.compile("[" + re.escape(PUNCTUATION) + "]")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s+[^\sa-zß-öø-ÿ]|\s*$)")
_ABBREVIATED = re.compile(
    r"(?:(?<![^\W_])(?:" + "|".join(map(re.escape, ABBREVIATIONS)) + r")|(?<![^\W_])(?-i:[A-Z]))\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = max(map(len, ABBREVIATIONS)) + 2


def words(text: str) -> list[str]:
    """The words of `text` in order, in lower case, with the curly apostrophe written as the straight one."""
    return _WORD.findall(text.lower().replace("’", "'"))


def count_punctuation(text: str) -> int:
    """How many characters of `text` are punctuation marks."""
    return len(_MARK.findall(text))


def count_sentences(text: str) -> int:
    """How many sentences `text` has; 0 only where it has neither a word nor a sentence end."""
    return sum(1 for _ in sentence_spans(text))


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence in `text`, white space around it left out."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if _is_abbreviated(text, match):
            continue
        yield _stripped(text, start, match.end())
        start = match.end()
    if _WORD.search(text, start):
        yield _stripped(text, start, len(text))


def _is_abbreviated(text: str, end: re.Match[str]) -> bool:
    if end.group() != ".":
        return False
    before = text[max(0, end.end() - _LONGEST_ABBREVIATION) : end.end()]
    return _ABBREVIATED.search(before) is not None


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    chunk = text[start:end]
    return start + len(chunk) - len(chunk.lstrip()), start + len(chunk.rstrip())
