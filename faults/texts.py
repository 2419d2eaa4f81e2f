"""Texts to send: sentences of the sample passages, cut and joined. No corpus is needed, and none is used."""

import random
import re

from readability_triton.cli.samples import sample_passages

MOST_SENTENCES = 5
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def sentences() -> list[str]:
    """The sentences of the sample passages."""
    return [each for passage in sample_passages().values() for each in _SENTENCE_END.split(passage.strip())]


def own_texts(count: int, seed: int = 0) -> list[str]:
    """Different texts of one to five sentences drawn from all passages, short ones more often than long ones."""
    rng, known = random.Random(seed), sentences()
    texts: dict[str, None] = {}
    while len(texts) < count:
        n_sentences = min(rng.randint(1, MOST_SENTENCES) for _ in range(2))
        texts[" ".join(rng.sample(known, n_sentences))] = None
    return list(texts)
