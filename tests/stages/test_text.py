"""The counting rules, case by case. Every implementation of the features must pass these tables."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.text import (
    ABBREVIATIONS,
    PUNCTUATION,
    count_punctuation,
    count_sentences,
    sentence_spans,
    words,
)

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

SENTENCES = {
    # Nothing to count.
    "no text": ("", []),
    "only white space": (" \n ", []),
    "only emoji": ("🎉", []),
    "only marks that end nothing": (", – ;", []),
    # Ends.
    "full stop": ("It rained.", ["It rained."]),
    "exclamation mark": ("Run!", ["Run!"]),
    "question mark": ("Who?", ["Who?"]),
    "ellipsis character": ("Well…", ["Well…"]),
    "two sentences": ("It rained. We stayed.", ["It rained.", "We stayed."]),
    "three kinds of end": ("Who? You! Me.", ["Who?", "You!", "Me."]),
    "white space around": ("  It rained. \n We stayed.\t", ["It rained.", "We stayed."]),
    "line feed between": ("It rained.\nWe stayed.", ["It rained.", "We stayed."]),
    "empty line between": ("It rained.\n\nWe stayed.", ["It rained.", "We stayed."]),
    "no-break space between": ("It rained.\u00a0We stayed.", ["It rained.", "We stayed."]),
    "a line feed ends none": ("It rained\nall day.", ["It rained\nall day."]),
    "digit begins the next": ("It rained. 7 of us stayed.", ["It rained.", "7 of us stayed."]),
    "accented capital begins the next": ("It rained. Émile stayed.", ["It rained.", "Émile stayed."]),
    "quote begins the next": ("It rained. “Stay,” he said.", ["It rained.", "“Stay,” he said."]),
    # No end.
    "no end at all": ("the old mill", ["the old mill"]),
    "rest after the last end": ("It rained. We stayed", ["It rained.", "We stayed"]),
    "rest without a word": ("It rained. – 🎉", ["It rained."]),
    "comma, colon, semicolon": ("One, two; three: four.", ["One, two; three: four."]),
    "no white space after": ("It rained.We stayed.", ["It rained.We stayed."]),
    "decimal point": ("It cost 3.50 in all.", ["It cost 3.50 in all."]),
    "address": ("See example.org today.", ["See example.org today."]),
    "full stop before a comma": ("Bread, butter etc., all gone.", ["Bread, butter etc., all gone."]),
    # Runs of marks.
    "three full stops at the end": ("Well...", ["Well..."]),
    "three full stops before a capital": ("Well... Who knows?", ["Well...", "Who knows?"]),
    "three full stops before a small letter": ("Well... who knows?", ["Well... who knows?"]),
    "mixed run": ("What?! No!!", ["What?!", "No!!"]),
    "only a run": ("?!?", ["?!?"]),
    "runs apart": (". . .", [".", ".", "."]),
    "ellipsis character before a small letter": ("Well… who knows?", ["Well… who knows?"]),
    "ellipsis character before a capital": ("Well… Who knows?", ["Well…", "Who knows?"]),
    # Quotes and brackets after the end.
    "straight quote": ('"Stop!" He ran.', ['"Stop!"', "He ran."]),
    "curly quote": ("“Stop!” He ran.", ["“Stop!”", "He ran."]),
    "single quote": ("‘Stop!’ He ran.", ["‘Stop!’", "He ran."]),
    "guillemet": ("«Stop!» He ran.", ["«Stop!»", "He ran."]),
    "bracket": ("(It rained.) We stayed.", ["(It rained.)", "We stayed."]),
    "bracket and quote": ("[“It rained.”] We stayed.", ["[“It rained.”]", "We stayed."]),
    "end outside the quote": ("He said “stop”. We ran.", ["He said “stop”.", "We ran."]),
    "quote at the end of the text": ("He said “stop.”", ["He said “stop.”"]),
    # A small letter goes on.
    "speech goes on": ("“Stop!” he said.", ["“Stop!” he said."]),
    "question goes on": ("“Who?” asked the owl.", ["“Who?” asked the owl."]),
    "small letter with an accent": ("Allons! être ou ne pas être.", ["Allons! être ou ne pas être."]),
    "small letter after a line feed": ("Stop!\nhe said.", ["Stop!\nhe said."]),
    # Abbreviations.
    "title": ("Mr. Brown met Dr. Gray.", ["Mr. Brown met Dr. Gray."]),
    "longest abbreviations": ("Messrs. Brown are approx. Ninety.", ["Messrs. Brown are approx. Ninety."]),
    "capitals": ("MR. BROWN LEFT.", ["MR. BROWN LEFT."]),
    "with full stops inside": ("A beast, e.g. Rex, left the U.S. Army.", ["A beast, e.g. Rex, left the U.S. Army."]),
    "month": ("On Jan. 7 it rained.", ["On Jan. 7 it rained."]),
    "after a bracket": ("(St. Ives is near.)", ["(St. Ives is near.)"]),
    "text ends there": ("Bread, butter etc.", ["Bread, butter etc."]),
    "text ends there but for white space": ("Bread, butter etc. \n", ["Bread, butter etc."]),
    "text ends there, after another sentence": ("It rained. See fig.", ["It rained.", "See fig."]),
    "tail of a longer word": ("We had a feast. Then slept.", ["We had a feast.", "Then slept."]),
    "tail of a longer word, longest abbreviation": (
        "We saw Xapprox. Then we slept.",
        ["We saw Xapprox.", "Then we slept."],
    ),
    "with another end": ("See Mr! Go.", ["See Mr!", "Go."]),
    "in a run": ("Bread etc... Then we slept.", ["Bread etc...", "Then we slept."]),
    "before a closing bracket": ("(bread etc.) Then we slept.", ["(bread etc.)", "Then we slept."]),
    # Initials.
    "an initial": ("George W. Hill spoke.", ["George W. Hill spoke."]),
    "initials in a row": ("J. R. Hill spoke.", ["J. R. Hill spoke."]),
    "initials without white space": ("J.R.R. Hill spoke.", ["J.R.R. Hill spoke."]),
    "an initial at the end of the text": ("It was plan B.", ["It was plan B."]),
    "single small letter": ("We know x. Now find y.", ["We know x.", "Now find y."]),
    "single digit": ("We were 7. Now we are 6.", ["We were 7.", "Now we are 6."]),
    "two capitals": ("We watch TV. Then sleep.", ["We watch TV.", "Then sleep."]),
    "capital with another end": ("Plan B! Go.", ["Plan B!", "Go."]),
}

PIECES = (
    *("Mr", "etc", "U.S", "A", "b", "Bob", "the", "é", "É", "Σ", "ΑΣ", "ß", "İ", "ж", "東", "7", "３", "²"),
    *(".", "!", "?", "…", "...", ",", "-", "_", "—", "'", "’", '"', "“", "”", "(", ")", "]", "»", "¿"),
    *(" ", "  ", "\n", "\t", "\u00a0", "\u2003", "\u0301", "\u200b", "\x1c", "\x00", "😀"),
)
PROSE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
TEXTS = st.one_of(PROSE, st.text(max_size=40))
quick = settings(deadline=None, max_examples=150)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(("text", "expected"), WORDS.values(), ids=WORDS.keys())
def test_words_are_runs_of_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(("text", "expected"), PUNCTUATION_MARKS.values(), ids=PUNCTUATION_MARKS.keys())
def test_each_punctuation_mark_counts(text: str, expected: int) -> None:
    assert count_punctuation(text) == expected


@pytest.mark.parametrize(("text", "expected"), SENTENCES.values(), ids=SENTENCES.keys())
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


TABLES = {**WORDS, **PUNCTUATION_MARKS, **SENTENCES}
ARRAYS = DeviceFeatures(FeatureSpec(frozenset(), ("a",) * 100, ("b",) * 100, np.zeros(207), np.ones(207)), np)


@pytest.mark.parametrize("text", [text for text, _ in TABLES.values()], ids=TABLES.keys())
def test_arrays_count_by_the_same_rules(text: str) -> None:
    found = words(text)
    counts = [len(found), len(set(found)), count_punctuation(text), count_sentences(text)]
    assert ARRAYS.raw([text])[0, :4].tolist() == counts


@pytest.mark.parametrize("abbreviation", ABBREVIATIONS)
def test_an_abbreviation_ends_a_sentence_only_at_the_end_of_the_text(abbreviation: str) -> None:
    text = f"We saw {abbreviation}. Brown and {abbreviation.title()}. Gray and {abbreviation}."
    assert sentences(text) == [text]


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


@quick
@given(TEXTS)
def test_sentences_are_in_order_apart_and_inside_the_text(text: str) -> None:
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        position = end


@quick
@given(TEXTS)
def test_sentences_have_no_white_space_around_them(text: str) -> None:
    for sentence in sentences(text):
        assert sentence == sentence.strip()


@quick
@given(TEXTS)
def test_as_many_sentences_are_counted_as_found(text: str) -> None:
    assert count_sentences(text) == len(sentences(text))


@quick
@given(TEXTS)
def test_every_word_is_in_a_sentence(text: str) -> None:
    assert [word for sentence in sentences(text) for word in words(sentence)] == words(text)


@quick
@given(TEXTS, st.sampled_from(("", " ", "\n\n", "\u00a0")), st.sampled_from(("", " ", "\n")))
def test_white_space_around_a_text_changes_no_sentence(text: str, before: str, after: str) -> None:
    assert sentences(before + text + after) == sentences(text)


@quick
@given(PROSE, PROSE)
def test_sentences_of_two_texts_add_up_where_the_first_has_ended(one: str, other: str) -> None:
    one, other = one + "end!", "Begin" + other
    assert sentences(f"{one} {other}") == sentences(one) + sentences(other)


def test_a_long_run_of_marks_is_one_end() -> None:
    assert count_sentences("." * 100_000 + "a") == 1


def test_many_initials_are_read_in_one_pass() -> None:
    assert count_sentences("A. " * 100_000) == 1
