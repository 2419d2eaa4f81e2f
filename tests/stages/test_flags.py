"""Flags of single texts; the rates on whole corpora are in `test_flags_on_corpora.py`."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.cli.samples import sample_passages
from readability_triton.stages.flags import FEWEST_WORDS, KINDS, LONGEST, flags, kind_of

BUNDLE = Path(__file__).parents[2] / "model_repository" / "bls_pipeline" / "config.pbtxt"
CHAT = "Le chat est assis sur le tapis et il regarde la mer pendant que les enfants jouent au bord de la route."
CODE = """
def joined(parts: list[str], by: str = ",") -> str:
    found = [part.strip() for part in parts if part]
    if not found:
        raise ValueError(f"nothing to join in {parts!r}")
    return by.join(found[:-1]) + (by + found[-1] if len(found) > 1 else found[0])
"""
LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip."
)


def mash(seed: int) -> str:
    draw = random.Random(seed)
    rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    return " ".join("".join(draw.choice(draw.choice(rows)) for _ in range(draw.randint(3, 10))) for _ in range(40))


@pytest.mark.parametrize("text", sample_passages().values())
def test_an_english_passage_has_no_flag(text: str) -> None:
    assert flags(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi.", ("short",)),
        ("The cat sat on the mat.", ("short",)),
        ("Jean-Pierre", ("short",)),
        ("“Bonjour, mes amis,” she said to them all, and the children of the village sat down by the fire.", ()),
        (CHAT, ("language:fr",)),
        ("Le chat est assis sur le tapis et il regarde la mer.", ("short", "language:fr")),
        ("こんにちは。今日はとてもいい天気ですね。", ("language:ja",)),
        (LOREM, ("language:la",)),
        (CODE, ("not-prose",)),
        (" ".join(str(number**3) for number in range(40)), ("not-prose",)),
        ("".join(f"{year};{year % 7 * 1.5};{year % 11}\n" for year in range(1990, 2020)), ("not-prose",)),
        ("The cat sat on the mat.\n" * 20, ("not-prose",)),
        (mash(1), ("not-prose",)),
        ("", ("short", "not-prose")),
        ("?! ...", ("short", "not-prose")),
    ],
)
def test_what_makes_a_score_doubtful_is_named(text: str, expected: tuple[str, ...]) -> None:
    assert flags(text) == expected


@pytest.mark.parametrize("seed", range(20))
def test_key_mashing_is_no_prose(seed: int) -> None:
    assert flags(mash(seed)) == ("not-prose",)


def test_short_is_what_the_widest_band_of_intervals_holds() -> None:
    intervals = BUNDLE.read_text(encoding="utf-8").partition('"interval"')[2].partition('string_value: "')[2]
    table = json.loads(intervals.partition('" } }')[0].replace('\\"', '"'))
    assert table["words"][0] == FEWEST_WORDS
    assert "short" in flags("word " * (FEWEST_WORDS - 1))
    assert "short" not in flags("word " * FEWEST_WORDS)


@given(st.text())
def test_any_text_has_flags_of_known_kinds_once_and_in_order(text: str) -> None:
    kinds = [kind_of(flag) for flag in flags(text)]
    assert kinds == [kind for kind in KINDS if kind in kinds]


@given(st.text(st.characters(categories=["Cs", "Cc", "Cn", "Co"])))
def test_code_points_that_are_no_characters_do_not_stop_it(text: str) -> None:
    assert "not-prose" in flags(text)


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    beginning = (" ".join(sample_passages().values()) * 20)[:LONGEST]
    assert flags(beginning + CODE * 1000) == flags(beginning)
