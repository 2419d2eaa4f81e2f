"""Sentences: where the library `sentencex` ends them, mended where readers of English would notice.

The table of cases in `tests/stages/test_sentences.py` is the promise. Around the library:

- a blank line ends a sentence, so that headings, verses and paragraphs never run into one another;
- a quotation of several sentences is as many, not one: the library does not see double quotation marks;
- no sentence without a letter or digit, and none that is but an item's number (``1.``, ``b)``): marks belong to the
  sentence before, a number to what it numbers; items in a row on one line are sentences of their own;
- what was capital goes on before a small letter (``“Stop!” he said.``, ``8 per cent. of``), before the number of a
  reference (``vol. 3``), the day of an hour (``7 a.m. Monday``) and after a comma at the end of a line;
- it ends after the pronoun in ``you and I.``, after a letter that names (``vitamin C.``), after ``…`` before a capital,
  and after brackets around whole sentences.

Everything takes time in proportion to the text: each pattern reads a character a bounded number of times.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from sentencex import segment

_BLANK_LINE = re.compile(r"\n[^\S\n]*+\n\s*+")
_ODD_SPACE = re.compile("[\r\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_LINE_BREAKS = "\r\x0b\x0c\x85\u2028\u2029"
_WORD = re.compile(r"[^\W_]")
_VISIBLE = re.compile(r"\S")
_QUOTATION_MARK = re.compile(r"[\"“”„‟«»'‘’](?:(?<=[\"“”„‟«»])|(?<!\w['‘])(?<=['‘])(?=\w)|(?<=[.,!?…]['’])(?=\s|$))")
"""Not an apostrophe. Each pattern that reads a whole text begins with a set of characters: `re` finds these fast."""
_WINDOW = 24
"""Characters before a boundary that decide whether the sentence goes on."""
_OPENING = re.compile("\\s([\"“”„‟«»'‘\\s]*)$")
_REFERENCE = re.compile(
    r"\b(?:vols?|chs?|chaps?|figs?|secs?|eqs?|nos?|nrs?|pp|paras?|pt|bk|approx|ca?)\.\s*$", re.IGNORECASE
)
_HOUR = re.compile(r"\b[ap]\.m\.\s*$", re.IGNORECASE)
_DAY = re.compile(r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b")
_SMALL = re.compile(r"[a-zß-öø-ÿ](?![a-z]*[A-Z])")  # not ``iPads``
_BEGINS_LARGE = re.compile(r"[^\w\s]{0,8}[^\W_a-zß-öø-ÿ]")
_NEW_LINE_UNENDED = re.compile(r"[^\s.!?…\"'”’»)\]]\s*\n\s*$")

_MISSED = re.compile(r"[.…](?:(?<=[\s/][A-Zx-z]\.)|(?<=[^\s.…]…)…*[\"'”’»)\]]*)\s+(?=[\"'“‘«(\[]?[^\W\d_a-zß-öø-ÿ])")
_PRONOUN = re.compile(r"\b(?:and|or|nor|than|as|but|not|am|was|do|did|can|could|will|would|should|had|have)\s+$")
_NAMES_A_LETTER = re.compile(
    r"\b(?:vitamin|plan|grade|type|group|class|section|part|option|figure|exhibit|appendix|point|phase|block|level|team"
    r"|ward|room|gate|side|hepatitis|exit|line|note|letter|column|route)\s+$",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[(\[][^()\[\]]*[.!?…][\"'”’]*[)\]]\s+(?=[\"'“‘«(\[]?[^\W\d_a-zß-öø-ÿ])")

_COLUMN = re.compile(r"(?:[^\n.!?…;:]{1,30}(?<![,–—-])[^\S\n]*+(?:\n|$)){3,}+")
"""Short lines that nothing ends: items, not a wrapped text."""
_LINE_END = re.compile(r"\n\s*")

_NUMBER = r"[•⁃‣◦*–-]?[^\S\n]*\(?(?P<number>\d{1,3}|[a-zA-Z])(?P<style>\.\)|[.)])"
_ITEM = re.compile(r"(?:(?<=\s)|^)" + _NUMBER + r"(?=\s+[^\W_a-z])")
_ITEM_NUMBER = re.compile(_NUMBER + r"\s*")


def count_sentences(text: str) -> int:
    """How many sentences `text` has; 0 only where it is empty or white space."""
    return len(_starts(_plain(text)))


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, white space around it left out; in order, they cover all the rest."""
    plain = _plain(text)
    for start, end in pairwise([*_starts(plain), len(plain)]):
        yield start, start + len(plain[start:end].rstrip())


def _plain(text: str) -> str:
    """The same text, character for character, with ASCII white space: the library panics at some of the other kinds."""
    plain = _ODD_SPACE.sub(lambda space: "\n" if space.group() in _LINE_BREAKS else " ", text.replace("\r\n", " \n"))
    # A surrogate without its partner is no text for the library; UTF-8 never brings one, a Python string may.
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode("utf-8")


def _starts(plain: str) -> list[int]:
    """Where each sentence starts, at a character that is not white space; rising."""
    starts: list[int] = []
    for begin, end in _paragraphs(plain):
        first = len(starts)
        for at in [begin, *_boundaries(plain[begin:end], begin)]:
            if len(starts) == first or not _goes_on(plain, starts[-1], at):
                starts.append(at)
    return _with_words(plain, starts)


def _paragraphs(plain: str) -> Iterator[tuple[int, int]]:
    """What stands between blank lines."""
    begin = len(plain) - len(plain.lstrip())
    end = len(plain.rstrip())
    for blank in _BLANK_LINE.finditer(plain, begin, end):
        yield begin, blank.start()
        begin = blank.end()
    if begin < end:
        yield begin, end


def _boundaries(paragraph: str, offset: int) -> list[int]:
    """Where sentences after the first may start in a paragraph that starts at `offset`; rising."""
    found = {0, *_by_library(paragraph), *_missed(paragraph)}
    if any(_ITEM_NUMBER.match(paragraph, at) for at in found):
        found.update([*_item_starts(paragraph, found)])
    if _COLUMN.fullmatch(paragraph):
        found.update(line.end() for line in _LINE_END.finditer(paragraph))
    for at in tuple(found):
        while paragraph[at] in "([" and (bracket := _BRACKETED.match(paragraph, at)):
            found.add(at := bracket.end())
    return [offset + at for at in sorted(found) if at > 0]


def _by_library(paragraph: str) -> Iterator[int]:
    at = 0
    for piece in segment("en", _QUOTATION_MARK.sub(" ", paragraph)):
        # Quotation marks before the first word open this sentence, unless they close the one before.
        opening = _OPENING.search(paragraph, max(0, at - _WINDOW), at)
        start = _VISIBLE.search(paragraph, opening.start(1) if opening else at)
        if start:
            yield start.start()
        at += len(piece)


def _missed(paragraph: str) -> Iterator[int]:
    """Where sentences start after an end that the library takes for none."""
    for match in _MISSED.finditer(paragraph):
        before = paragraph[max(0, match.start() - _WINDOW) : match.start()]
        letter = before[-1] if match.group()[0] == "." else ""
        if letter in "xyz" or (_PRONOUN if letter == "I" else _NAMES_A_LETTER).search(before[:-1]):
            yield match.end()


def _item_starts(paragraph: str, boundaries: set[int]) -> Iterator[int]:
    """Where items on one line start: those numbered on from one that starts a sentence (``1. Wash 2. Boil``)."""
    expected = None
    for item in _ITEM.finditer(paragraph):
        number, style = item["number"], item["style"]
        ordinal = int(number) if number.isdigit() else ord(number)
        if expected == (ordinal, style):
            yield item.start()
        elif item.start() not in boundaries:
            continue
        expected = (ordinal + 1, style)


def _goes_on(plain: str, start: int, at: int) -> bool:
    """Whether the sentence that started at `start` goes on at `at`, where another might start."""
    before = plain[max(start, at - _WINDOW) : at]
    if _SMALL.match(plain, at):
        unended = before[-1] == "\n" and _NEW_LINE_UNENDED.search(before)
        return not (unended or _ITEM_NUMBER.match(plain, at) or not _BEGINS_LARGE.match(plain, start))
    if plain[at].isdigit():
        return bool(_REFERENCE.search(before))
    if _DAY.match(plain, at):
        return bool(_HOUR.search(before))
    return before[-1] == "\n" and before.rstrip()[-1:] in (",", ";")


def _with_words(plain: str, starts: list[int]) -> list[int]:
    """The starts of sentences that hold a word, and more than an item's number; of a text without words, its own."""
    kept: list[int] = []
    waiting: int | None = None
    for start, end in pairwise([*starts, len(plain)]):
        if not (plain[start].isalnum() or _WORD.search(plain, start, end)):
            waiting = start if not kept and waiting is None else waiting
        elif end - start < _WINDOW and _ITEM_NUMBER.fullmatch(plain, start, end):
            waiting = start if waiting is None else waiting
        else:
            kept.append(start if waiting is None else waiting)
            waiting = None
    return kept if waiting is None else [*kept, waiting]
