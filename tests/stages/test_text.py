"""The counting rules, case by case. Every implementation of the features must pass these tables."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.sentences import count_sentences
from readability_triton.stages.text import PUNCTUATION, count_punctuation, words

WORDS = {
    "no text": ("", []),
    "only white space": (" \t\n ", []),
    "only marks": ("?! … – ’", []),
    "capitals": ("The CAT sat", ["the", "cat", "sat"]),
    "marks around": ("(«well», she said;)", ["well", "she", "said"]),
    "tab, line feed, no-break space": ("one\ttwo\nthree\u00a0four", ["one", "two", "three", "four"]),
    "straight apostrophe inside": ("don't", ["don't"]),
    "curly apostrophe inside": ("don’t", ["don't"]),
    "curly and straight are one spelling": ("O’Clock o'clock", ["o'clock", "o'clock"]),
    "several apostrophes": ("fo'c's'le", ["fo'c's'le"]),
    "apostrophe before": ("’tis 'twas", ["tis", "twas"]),
    "apostrophe after": ("the dogs' bones’", ["the", "dogs", "bones"]),
    "apostrophes around": ("rock 'n’ roll", ["rock", "n", "roll"]),
    "two apostrophes in a row": ("well''known", ["well", "known"]),
    "opening single quote is no apostrophe": ("well‘known", ["well", "known"]),
    "hyphen": ("well-known", ["well", "known"]),
    "dash without spaces": ("rain—then snow", ["rain", "then", "snow"]),
    "underscore": ("snake_case _private_", ["snake", "case", "private"]),
    "slash and ampersand": ("and/or R&D", ["and", "or", "r", "d"]),
    "address": ("ann@example.org", ["ann", "example", "org"]),
    "full stops inside": ("e.g. U.S.", ["e", "g", "u", "s"]),
    "digits": ("7 1066", ["7", "1066"]),
    "digits and letters": ("the 7th B2B", ["the", "7th", "b2b"]),
    "digits with an apostrophe": ("the 1960's", ["the", "1960's"]),
    "decimal point and comma": ("3.14 or 1,000", ["3", "14", "or", "1", "000"]),
    "accents": ("naïve Café", ["naïve", "café"]),
    "accented capitals": ("ÉCOLE Ångström", ["école", "ångström"]),
    "sharp s": ("Straße", ["straße"]),
    "Cyrillic": ("Привет, мир", ["привет", "мир"]),
    "Greek": ("Καλημέρα ΚΟΣΜΕ", ["καλημέρα", "κοσμε"]),
    "Greek final sigma": ("ΛΟΓΟΣ. ΣΟΦΟΣ", ["λογος", "σοφος"]),
    "script without spaces": ("東京タワー", ["東京タワー"]),
    "emoji between words": ("so😀happy 👍🏽", ["so", "happy"]),
    "only emoji": ("🎉🎉", []),
}

PUNCTUATION_MARKS = {
    "no text": ("", 0),
    "none": ("plain words and 7 digits", 0),
    "one": ("Stop!", 1),
    "each of a run": ("Wait... what?!", 5),
    "ellipsis character": ("Wait…", 1),
    "straight apostrophe": ("don't", 1),
    "curly apostrophe": ("don’t", 1),
    "inside a word": ("well-known snake_case", 2),
    "decimal point": ("3.14", 1),
    "curly quotes": ("“Hi,” she ‘said’.", 6),
    "guillemets": ("«Oui»", 2),
    "Spanish openers": ("¡Hola! ¿Qué tal?", 4),
    "hyphen and dashes": ("a-b–c—d", 3),
    "symbols": ("50% of $3 & 1 + 1 = 2", 5),
    "brackets": ("(a) [b] {c} <d>", 8),
    "emoji and accents": ("é 😀 ö", 0),
}

PIECES = (
    *("Mr", "etc", "U.S", "A", "b", "Bob", "the", "é", "É", "Σ", "ΑΣ", "ß", "İ", "ж", "東", "7", "３", "²"),
    *(".", "!", "?", "…", "...", ",", "-", "_", "—", "'", "’", '"', "“", "”", "(", ")", "]", "»", "¿"),
    *(" ", "  ", "\n", "\t", "\u00a0", "\u2003", "\u0301", "\u200b", "\x1c", "\x00", "😀"),
)
PROSE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
TEXTS = st.one_of(PROSE, st.text(max_size=40))
quick = settings(deadline=None, max_examples=150)


@pytest.mark.parametrize(("text", "expected"), WORDS.values(), ids=WORDS.keys())
def test_words_are_runs_of_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(("text", "expected"), PUNCTUATION_MARKS.values(), ids=PUNCTUATION_MARKS.keys())
def test_each_punctuation_mark_counts(text: str, expected: int) -> None:
    assert count_punctuation(text) == expected


TABLES = {**WORDS, **PUNCTUATION_MARKS}
ARRAYS = DeviceFeatures(FeatureSpec(frozenset(), ("a",) * 100, ("b",) * 100, np.zeros(207), np.ones(207)), np)


@pytest.mark.parametrize("text", [text for text, _ in TABLES.values()], ids=TABLES.keys())
def test_arrays_count_by_the_same_rules(text: str) -> None:
    found = words(text)
    counts = [len(found), len(set(found)), count_punctuation(text), count_sentences(text)]
    assert ARRAYS.raw([text])[0, :4].tolist() == counts


def test_ascii_marks_are_those_that_unicode_calls_punctuation_or_symbols() -> None:
    for letter in map(chr, range(128)):
        assert count_punctuation(letter) == (unicodedata.category(letter)[0] in "PS"), repr(letter)


def test_every_mark_of_the_list_counts_once() -> None:
    assert [count_punctuation(mark) for mark in PUNCTUATION] == [1] * len(set(PUNCTUATION))


@quick
@given(TEXTS)
def test_words_are_lower_case_letters_and_digits_with_apostrophes_inside(text: str) -> None:
    for word in words(text):
        assert word == word.lower()
        assert all(part.isalnum() for part in word.split("'"))


@quick
@given(TEXTS)
def test_words_of_words_are_the_same_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


@quick
@given(TEXTS, TEXTS)
def test_punctuation_marks_add_up(one: str, other: str) -> None:
    assert count_punctuation(one + other) == count_punctuation(one) + count_punctuation(other)
