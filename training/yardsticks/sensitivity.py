"""Sensitivity at fixed topic: the same passage, made harder by one edit, is to score lower.

Two edits, each on passages where it changes enough: two sentences joined to one throughout, and common words put as
rarer ones of the same meaning.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from readability_triton.stages.sentences import sentence_spans
from readability_triton.training.yardsticks.figure import Figure, Score

FEWEST_WORDS = 3
"""Words that must be exchanged for a passage to count."""

FEWEST_SENTENCES = 4

RARER = {
    "about": "approximately",
    "afraid": "apprehensive",
    "angry": "indignant",
    "ask": "enquire",
    "asked": "enquired",
    "began": "commenced",
    "begin": "commence",
    "big": "substantial",
    "bright": "luminous",
    "brave": "valiant",
    "buy": "purchase",
    "enough": "sufficient",
    "end": "termination",
    "fast": "rapid",
    "found": "discovered",
    "gave": "bestowed",
    "get": "obtain",
    "got": "obtained",
    "happy": "jubilant",
    "hard": "arduous",
    "help": "assist",
    "helped": "assisted",
    "hid": "concealed",
    "house": "residence",
    "kind": "benevolent",
    "large": "considerable",
    "last": "ultimate",
    "like": "resembling",
    "many": "numerous",
    "need": "require",
    "needed": "required",
    "often": "frequently",
    "old": "venerable",
    "poor": "impoverished",
    "quick": "expeditious",
    "quiet": "tranquil",
    "rich": "affluent",
    "sad": "melancholy",
    "showed": "demonstrated",
    "shows": "demonstrates",
    "small": "diminutive",
    "start": "initiate",
    "stopped": "discontinued",
    "strong": "formidable",
    "tell": "inform",
    "think": "contemplate",
    "tired": "fatigued",
    "tried": "endeavoured",
    "try": "endeavour",
    "use": "utilise",
    "used": "utilised",
    "walk": "promenade",
    "walked": "promenaded",
    "work": "labour",
    "wrong": "erroneous",
}
_COMMON = re.compile(r"\b(?:" + "|".join(RARER) + r")\b", re.IGNORECASE)
_END = re.compile(r"[.!?…]+([\"'”’»)\]]*)$")


def join_sentences(text: str) -> str:
    """The second of every two sentences appended to the first with `, and`; the text itself if it has too few."""
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    if len(sentences) < FEWEST_SENTENCES:
        return text
    joined = [
        _END.sub(r"\1", first) + ", and " + second[:1].lower() + second[1:]
        for first, second in zip(sentences[::2], sentences[1::2], strict=False)
    ]
    return " ".join([*joined, *(sentences[-1:] if len(sentences) % 2 else [])])


def put_rarer_words(text: str) -> str:
    """Common words replaced by rarer ones of the same meaning; the text itself if it holds too few of them."""
    changed, n = _COMMON.subn(_rarer, text)
    return changed if n >= FEWEST_WORDS else text


def _rarer(match: re.Match[str]) -> str:
    word = match.group()
    rarer = RARER[word.lower()]
    return rarer.capitalize() if word[0].isupper() else rarer


EDITS: dict[str, Callable[[str], str]] = {"sentences joined": join_sentences, "rarer words": put_rarer_words}


def sensitivity(texts: Sequence[str], score: Score) -> list[Figure]:
    """Two figures an edit, on the texts that it changes: the share that then scores lower, and the mean fall."""
    figures = []
    before = score(texts)
    for name, edit in EDITS.items():
        edited = [edit(text) for text in texts]
        rows = [row for row, text in enumerate(texts) if edited[row] != text]
        if not rows:
            continue
        fall = before[:, rows] - score([edited[row] for row in rows])
        kind = "sensitivity"
        figures.append(Figure(f"{name}: share that scores lower", len(rows), np.asarray((fall > 0).mean(axis=1)), kind))
        figures.append(Figure(f"{name}: mean fall of the score", len(rows), np.asarray(fall.mean(axis=1)), kind))
    return figures
