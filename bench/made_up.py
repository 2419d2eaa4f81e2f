"""Sentences for measurements in which the words do not matter."""

import numpy as np

WORDS = (
    *("the", "cat", "sat", "on", "a", "mat", "and", "watched", "rain", "fall", "over", "seven", "quiet", "hills"),
    *("while", "children", "read", "aloud"),
)


def sentence(random: np.random.Generator, n_words: int) -> str:
    """So many words, with a capital and a full stop."""
    return " ".join(random.choice(WORDS, size=n_words)).capitalize() + "."
