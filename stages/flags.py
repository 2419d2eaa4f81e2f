"""What makes a score doubtful: a text that is short, in another language than English, or no prose.

The limits were measured; docs/score.md has the figures, and `tests/stages/test_flags_on_corpora.py` measures again.
"""

import re
import zlib
from typing import NamedTuple

import pycld2

from readability_triton.stages.text import words

SHORT, LANGUAGE, NOT_PROSE = "short", "language", "not-prose"
KINDS = (SHORT, LANGUAGE, NOT_PROSE)
"""The kinds of flags; those of a language end in its code, such as `language:fr`."""

FEWEST_WORDS = 15
"""The first edge of the interval table: 90 % intervals of shorter texts are 2.9 wide, those of a text that nobody has
read, by the spread of the training scores, 3.4."""

LONGEST = 16_384
"""Characters that are looked at: several times what the encoder reads."""

ENGLISH, UNKNOWN = "en", "un"
WITHOUT_SPACES = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "zh", "zh-Hant"})
"""Languages whose words are not separated by white space."""

LEAST_FAMILIAR = 250
"""CLD2's score, how well letters fit the language per 1,024 bytes: English prose has 900 or more, key-mashing 190 or
less."""
LEAST_ENGLISH = 500
"""The same where English fits best: other languages full of English terms have less."""
LEAST_PLAIN = 0.8
"""Share of chunks between white space that are a word with no more than punctuation around it: prose has 0.86 or more,
code and tables a median of 0.5 and 0."""
LEAST_LETTERS = 0.6
"""Of the characters that are not white space: prose has 0.87 or more, tables of numbers 0.5 or less."""
LEAST_VARIED = 0.25
"""Compressed bytes of each byte: prose has 0.4 or more, a line ten times over 0.14."""
MOST_ENGLISH = 35
"""Percent of a text in another language that may be English: a few lines in French make a passage no French one."""
FEWEST_CHUNKS = 5
"""The rule of plain words holds from here on: one odd name is no code."""
FEWEST_BYTES = 60
"""The rule of familiar letters holds from here on: less has too few letters to judge."""
LEAST_BYTES = 16
"""A language is named from here on: `Jean-Pierre` is none."""

_PLAIN = re.compile(r"[^\w\s]{0,3}[^\W\d_]+(?:['’.\-‐-―]{1,3}[^\W\d_]+)*['’]?[.,;:!?)\]\"'”’»…‐-―]{0,4}")
_CONTROLS = dict.fromkeys(
    [
        *range(32),
        *range(127, 160),
        *range(0xFDD0, 0xFDF0),
        *(plane + end for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)),
    ],
    " ",
)
"""CLD2 refuses texts with control characters and other code points that are no characters."""


class _Guess(NamedTuple):
    language: str
    familiarity: float
    is_reliable: bool
    english: int


def flags(text: str) -> tuple[str, ...]:
    """The flags of a text, in the order of `KINDS`; none for most.

    - `short`: fewer than `FEWEST_WORDS` words.
    - `language:xx`: about two thirds of it or more are in other languages than English, most in the one with this
      ISO 639 code, by CLD2; not for what is no prose.
    - `not-prose`: code, tables, numbers, key-mashing, or the same again and again.
    """
    beginning = text[:LONGEST]
    guess = _language_of(beginning)
    is_prose = _is_prose(beginning, guess)
    found = [SHORT] if _is_short(text, guess) else []
    if is_prose and _is_foreign(beginning, guess):
        found.append(f"{LANGUAGE}:{guess.language}")
    return (*found, NOT_PROSE) if not is_prose else tuple(found)


def kind_of(flag: str) -> str:
    """Which of `KINDS` a flag is."""
    return flag.partition(":")[0]


def _is_short(text: str, guess: _Guess) -> bool:
    if guess.language in WITHOUT_SPACES and guess.is_reliable:
        return False  # the words of such a text cannot be counted by white space
    return len(words(text[:LONGEST])) < FEWEST_WORDS


def _language_of(text: str) -> _Guess:
    is_reliable, _, found = pycld2.detect(text.translate(_CONTROLS).encode("utf-8", "replace"), bestEffort=True)
    _, language, _, familiarity = found[0]
    english = sum(percent for _, code, percent, _ in found if code == ENGLISH)
    return _Guess(language, familiarity, is_reliable, english)


def _is_foreign(text: str, guess: _Guess) -> bool:
    if guess.language in (ENGLISH, UNKNOWN) or guess.english > MOST_ENGLISH:
        return False
    n_bytes = len(text.encode("utf-8", "replace"))
    # CLD2 says that it is not sure where close relatives of a language have a share in it.
    return n_bytes >= FEWEST_BYTES or (guess.is_reliable and n_bytes >= LEAST_BYTES)


def _is_prose(text: str, guess: _Guess) -> bool:
    chunks = text.split()
    size = sum(map(len, chunks))
    if not size:
        return False
    letters = sum(map(str.isalpha, "".join(chunks)))
    if letters < LEAST_LETTERS * size or _is_repeated(text):
        return False
    least = LEAST_ENGLISH if guess.language == ENGLISH else LEAST_FAMILIAR
    if len(text.encode("utf-8", "replace")) >= FEWEST_BYTES and guess.familiarity < least:
        return False
    if len(chunks) < FEWEST_CHUNKS or guess.language in WITHOUT_SPACES:
        return True
    return sum(_PLAIN.fullmatch(chunk) is not None for chunk in chunks) >= LEAST_PLAIN * len(chunks)


def _is_repeated(text: str) -> bool:
    encoded = text.encode("utf-8", "replace")
    return len(zlib.compress(encoded, 1)) < LEAST_VARIED * len(encoded)
