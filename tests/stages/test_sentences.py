"""Where sentences end, case by case, and what holds for every text."""

import csv
import json
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from readability_triton.stages.sentences import count_sentences, sentence_spans

CLEAR = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"
CASES = Path(__file__).parents[3] / "shared" / "sentences" / "cases.jsonl"

SENTENCES = {
    # Nothing to count.
    "no text": ("", []),
    "only white space": (" \n ", []),
    "only emoji": ("🎉", ["🎉"]),
    "only marks that end nothing": (", – ;", [", – ;"]),
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
    "rest without a word": ("It rained. – 🎉", ["It rained. – 🎉"]),
    "comma, colon, semicolon": ("One, two; three: four.", ["One, two; three: four."]),
    "no white space after": ("It rained.We stayed.", ["It rained.", "We stayed."]),
    "decimal point": ("It cost 3.50 in all.", ["It cost 3.50 in all."]),
    "address": ("See example.org today.", ["See example.org today."]),
    "full stop before a comma": ("Bread, butter etc., all gone.", ["Bread, butter etc., all gone."]),
    # Runs of marks.
    "three full stops at the end": ("Well...", ["Well..."]),
    "three full stops before a capital": ("Well... Who knows?", ["Well...", "Who knows?"]),
    "three full stops before a small letter": ("Well... who knows?", ["Well... who knows?"]),
    "mixed run": ("What?! No!!", ["What?!", "No!!"]),
    "only a run": ("?!?", ["?!?"]),
    "runs apart": (". . .", [". . ."]),
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
    "longest abbreviations": ("Messrs. Brown are approx. ninety.", ["Messrs. Brown are approx. ninety."]),
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
    # Set apart.
    "heading": ("THE OLD HOUSE\n\nBy Ann Lee\n\nIt stood alone.", ["THE OLD HOUSE", "By Ann Lee", "It stood alone."]),
    "blank line with spaces": ("No stop\n \t\nNor here", ["No stop", "Nor here"]),
    "blank line of another system": ("No stop\r\n\r\nNor here", ["No stop", "Nor here"]),
    "letter": ("Dear Sir,\n\nI write to you.\n\nYours,\nAnn Lee", ["Dear Sir,", "I write to you.", "Yours,\nAnn Lee"]),
    "verses": (
        "Red is the rose,\nBlue is the sea.\n\nSweet is the pear,\nAnd so are we.",
        ["Red is the rose,\nBlue is the sea.", "Sweet is the pear,\nAnd so are we."],
    ),
    "wrapped": ("A dark\nand windy evening \nby the sea.", ["A dark\nand windy evening \nby the sea."]),
    # Items.
    "numbers": ("It was hot. 1. Wash the rice. 2. Boil it.", ["It was hot.", "1. Wash the rice.", "2. Boil it."]),
    "numbers without stops": (
        "1. Wash the rice 2. Boil the water 3. Serve it",
        ["1. Wash the rice", "2. Boil the water", "3. Serve it"],
    ),
    "numbers in brackets": ("1) Wash the rice 2) Boil the water", ["1) Wash the rice", "2) Boil the water"]),
    "both": ("1.) Wash the rice. 2.) Boil the water.", ["1.) Wash the rice.", "2.) Boil the water."]),
    "letters": ("a. Red paint b. Blue paint c. Green paint", ["a. Red paint", "b. Blue paint", "c. Green paint"]),
    "bullets": ("• 7. Seventh thing • 8. Eighth thing", ["• 7. Seventh thing", "• 8. Eighth thing"]),
    "bullets without space": ("⁃7. Seventh thing ⁃8. Eighth thing", ["⁃7. Seventh thing", "⁃8. Eighth thing"]),
    "lines": ("apples\npears and plums\ncherries\n", ["apples", "pears and plums", "cherries"]),
    "a number that is none of an item": ("There were 3. Of us, 4 stayed.", ["There were 3.", "Of us, 4 stayed."]),
    # What the library misses.
    "pronoun": ("It was you and I. Have you met Paul I. Green?", ["It was you and I.", "Have you met Paul I. Green?"]),
    "named by a letter": ("Take exit B. Turn left.", ["Take exit B.", "Turn left."]),
    "brackets around sentences": ("We left. (It rained.) They stayed.", ["We left.", "(It rained.)", "They stayed."]),
    "brackets inside": (
        "He sings (He was a baker for years.) in the choir.",
        ["He sings (He was a baker for years.) in the choir."],
    ),
    "several in a quotation": (
        "She said, “Go. Run! It burns.” We ran.",
        ["She said, “Go.", "Run!", "It burns.”", "We ran."],
    ),
    "several in single quotation marks": ("'Go. Run!' he cried.", ["'Go.", "Run!' he cried."]),
    "reference": ("See Ch. 4, p. 9. Then stop.", ["See Ch. 4, p. 9.", "Then stop."]),
    "parts of a hundred": (
        "It holds 8 per cent. of lime. It is white.",
        ["It holds 8 per cent. of lime.", "It is white."],
    ),
    "day of an hour": ("It opens at 9 a.m. Monday. Come.", ["It opens at 9 a.m. Monday.", "Come."]),
    # What it knows.
    "company": (
        "Ask Hale & Co. They know. Hale & Co. at noon was shut.",
        ["Ask Hale & Co.", "They know.", "Hale & Co. at noon was shut."],
    ),
    "hours": (
        "At 4 p.m. Mr. Lee slept. He woke at 8 P.M. Mr. Lee then ate.",
        ["At 4 p.m. Mr. Lee slept.", "He woke at 8 P.M.", "Mr. Lee then ate."],
    ),
    "dots apart": (
        "One thing which was lost . . . was that of making words. . . . The habit went on.",
        ["One thing which was lost . . . was that of making words. . . .", "The habit went on."],
    ),
    "four dots": ("I did not mean that.... She went home.", ["I did not mean that....", "She went home."]),
    "left out": ('"Hale [...] wrote of rivers [...]" (Lee 8).', ['"Hale [...] wrote of rivers [...]" (Lee 8).']),
    "number of a thing": ("Look at N°. 1045.22.7. It is there.", ["Look at N°. 1045.22.7.", "It is there."]),
    "speech in the middle": ('She said, "That is good." and left.', ['She said, "That is good." and left.']),
}

PIECES = (
    *(
        "Mr",
        "etc",
        "1.",
        "2)",
        "•",
        "vol.",
        "a.m.",
        "and I.",
        "vitamin C.",
        "U.S",
        "A",
        "b",
        "Bob",
        "the",
        "é",
        "É",
        "Σ",
        "ΑΣ",
        "ß",
        "İ",
        "ж",
        "東",
        "7",
        "３",
        "²",
    ),
    *(".", "!", "?", "…", "...", ",", "-", "_", "—", "'", "’", '"', "“", "”", "(", ")", "]", "»", "¿"),
    *(" ", "  ", "\n", "\t", "\u00a0", "\u2003", "\u0301", "\u200b", "\x1c", "\x00", "😀"),
)
PROSE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
TEXTS = st.one_of(PROSE, st.text(max_size=40))
quick = settings(deadline=None, max_examples=150)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(("text", "expected"), SENTENCES.values(), ids=SENTENCES.keys())
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.skipif(not CASES.is_file(), reason="the table of cases is not on this machine")
def test_no_case_of_the_table_is_lost() -> None:
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    assert [case["text"] for case in cases if sentences(case["text"]) != case["sentences"]] == []


@quick
@given(TEXTS)
def test_every_character_but_white_space_is_in_one_sentence_and_in_order(text: str) -> None:
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        position = end
    assert not text[position:].strip()


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
def test_a_sentence_holds_a_word_unless_the_text_holds_none(text: str) -> None:
    has_words = [any(character.isalnum() for character in sentence) for sentence in sentences(text)]
    assert all(has_words) or len(has_words) == 1


@quick
@given(TEXTS, st.sampled_from(("", " ", "\n\n", "\u00a0")), st.sampled_from(("", " ", "\n")))
def test_white_space_around_a_text_changes_no_sentence(text: str, before: str, after: str) -> None:
    assert sentences(before + text + after) == sentences(text)


WHOLE = (
    "It rained.",
    "“Stop!” he said.",
    "Who goes there?",
    "Dr. Lee met Mrs. Cole at 5 p.m. in the U.S. Senate.",
    "She said, “I will. You know.”",
    "(Nobody knew.)",
    "The river, as it was then, rose…",
    "'Come in,' said Mole.",
    "It cost $3.50 in all!",
)


@quick
@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=12), st.sampled_from((" ", "\n", "  ", "\n\n")))
def test_a_text_of_whole_sentences_has_their_sum(parts: list[str], between: str) -> None:
    assert count_sentences(between.join(parts)) == sum(map(count_sentences, parts))


def may_be_an_items_number(sentence: str) -> bool:
    return not sentence.startswith("End") and sum(map(str.isalnum, sentence)) <= 3


@quick
@given(st.lists(st.text(st.sampled_from("aB .!?…\"'“”()1\n"), max_size=20).map(lambda text: f"End{text}"), max_size=5))
def test_what_blank_lines_part_has_its_own_sentences(parts: list[str]) -> None:
    """But an item's number goes with what it numbers, after a blank line too."""
    assume(not any(may_be_an_items_number(sentences(part)[-1]) for part in parts))
    assert sentences("\n\n".join(parts)) == [sentence for part in parts for sentence in sentences(part)]


def test_half_a_surrogate_pair_is_a_character_like_another() -> None:
    assert sentences("It rained\ud800. We stayed.") == ["It rained\ud800.", "We stayed."]


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u202f", "\x85", "\x1f", "\u3000"], ids=ascii)
def test_white_space_of_any_kind_parts_sentences(space: str) -> None:
    """The library panics at some of these after an initial."""
    assert sentences(f"J.{space}Hill spoke.{space}We left.") == [f"J.{space}Hill spoke.", "We left."]


NASTY = (
    "a.",
    '"',
    "(",
    "A. ",
    "\n\n",
    "x\n \n",
    "'a. ",
    "[1]",
    ".",
    "! a ",
    "1. ",
    "1. A ",
    "a… A ",
    "and I. A ",
    "É. é",
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", NASTY, ids=repr)
def test_nasty_text_takes_time_in_proportion(unit: str) -> None:
    """Ten times the text in fifty times the time at most: a quadratic rule takes a hundred times."""
    short, long = (unit * (size // len(unit)) for size in (200_000, 2_000_000))
    assert _seconds(long) < 50 * max(_seconds(short), 0.01)


@pytest.mark.slow
def test_ten_megabytes_of_prose_are_counted() -> None:
    assert count_sentences("It rained all night. The river rose. " * 270_000) == 540_000


def _seconds(text: str) -> float:
    start = time.process_time()
    count_sentences(text)
    return time.process_time() - start


def test_sentences_in_brackets_may_follow_one_another() -> None:
    text = "(One is here.) (Two is here.) [Three is here.] Four is here."
    assert count_sentences(text) == 4


@pytest.mark.skipif(not CLEAR.is_file(), reason="../shared/clear is not here")
def test_every_excerpt_of_the_corpus_has_its_characters_once_and_in_order() -> None:
    with CLEAR.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spans = list(sentence_spans(row["excerpt"]))
            assert "".join("".join(row["excerpt"][a:b] for a, b in spans).split()) == "".join(row["excerpt"].split())


def test_an_items_number_goes_with_what_follows_a_blank_line() -> None:
    assert sentences("Look here? B.\n\nThe second.") == ["Look here?", "B.\n\nThe second."]
