"""The requests of a comparison: the same for every arm, with their length in tokens."""

import csv
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Inputs = Mapping[str, NDArray[Any]]
Outputs = Mapping[str, NDArray[Any]]
SHORTEST_WORDS, LONGEST_WORDS = 1, 2000
DISTRIBUTIONS = {
    "constant": lambda value: stats.uniform(value, 0),
    "uniform": lambda low, high: stats.uniform(low, high - low),
    "normal": stats.norm,
    "lognormal": lambda median, sigma: stats.lognorm(sigma, scale=median),
}


@dataclass(frozen=True)
class Workload:
    """Requests to draw from.

    Attributes:
        requests: the inputs of each, by tensor name.
        tokens: of each request, summed over its rows, special ones included, as the encoder sees them; None where no
            text is known or no tokenizer is at hand.
        source: where they come from, in words.
    """

    requests: Sequence[Inputs]
    tokens: Sequence[int] | None
    source: str

    def about(self) -> str:
        """A line for tables: how many requests, from where, how long."""
        if self.tokens is None:
            return f"{len(self.requests)} requests, {self.source}; tokens not counted"
        spread = f"{min(self.tokens)} to {max(self.tokens)}"
        return f"{len(self.requests)} requests, {self.source}; {np.mean(self.tokens):.0f} tokens a request ({spread})"


def of_texts(
    texts: Sequence[str], batch: int, bert_weight: float, tokenizer: "Tokenizer | None", source: str
) -> Workload:
    """Requests of `batch` texts each; the texts are gone through again if the last request would be short.

    Raises:
        ValueError: if there is no text.
    """
    if not texts:
        raise ValueError(f"no text in {source}")
    n_requests = -(-len(texts) // batch)
    rows = [[texts[(at * batch + row) % len(texts)] for row in range(batch)] for at in range(n_requests)]
    weights = np.full((batch, 1), bert_weight, dtype=np.float32)
    requests = [
        {"excerpt": np.array([[text.encode()] for text in each], dtype=object), "BERT_WEIGHT": weights} for each in rows
    ]
    tokens = None
    if tokenizer is not None:
        tokens = [sum(len(encoding.ids) for encoding in tokenizer.encode_batch(each)) for each in rows]
    return Workload(requests, tokens, source)


def read_texts(path: Path) -> list[str]:
    """Texts of a file: the column `excerpt` of a CSV, else a text a line.

    Raises:
        ValueError: if a CSV has no such column.
        OSError, UnicodeDecodeError: if the file cannot be read.
    """
    if path.suffix.lower() != ".csv":
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "excerpt" not in (reader.fieldnames or ()):
            raise ValueError(f"{path} has no column excerpt")
        return [row["excerpt"] for row in reader if row["excerpt"].strip()]


def draw_lengths(distribution: str, n_texts: int, seed: int) -> list[int]:
    """Lengths in words, drawn from `constant:180`, `uniform:50,400`, `normal:175,17` or `lognormal:150,0.5`.

    Raises:
        ValueError: for anything else.
    """
    name, _, arguments = distribution.partition(":")
    try:
        drawn = DISTRIBUTIONS[name](*map(float, arguments.split(","))).rvs(n_texts, random_state=seed)
    except (KeyError, TypeError, ValueError) as error:
        examples = "constant:180, uniform:50,400, normal:175,17 or lognormal:150,0.5"
        raise ValueError(f"{distribution!r} is no distribution of words; write {examples}") from error
    return np.clip(np.rint(drawn), SHORTEST_WORDS, LONGEST_WORDS).astype(int).tolist()


def texts_of_lengths(passages: Sequence[str], lengths: Sequence[int], seed: int) -> list[str]:
    """Texts of so many words each, cut out of the passages read one after the other, each from a random word on."""
    words = [word for passage in passages for word in re.findall(r"\S+", passage)]
    rng = random.Random(seed)
    starts = [rng.randrange(len(words)) for _ in lengths]
    return [
        " ".join(words[(start + at) % len(words)] for at in range(length))
        for start, length in zip(starts, lengths, strict=True)
    ]
