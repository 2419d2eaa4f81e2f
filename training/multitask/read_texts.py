"""Read what a multi-task training learns from: a corpus, and whichever of prose, levels and pairs there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from readability_triton.training.corpus import Corpus, read_corpus
from readability_triton.training.multitask.compose import LONGEST_PAIR, ComposedTexts, Composer, Simplifications
from readability_triton.training.yardsticks.levels import LevelledTexts, read_levels
from readability_triton.training.yardsticks.pairs import columns_of, simplification_columns
from readability_triton.training.yardsticks.table_file import read_rows


@dataclass(frozen=True)
class Sources:
    """The data of a training.

    Attributes:
        corpus: scored excerpts.
        prose: passages without scores.
        levelled: sentences with levels, a file each.
        pairs: the same content, harder and easier, a file each, with how many sentences may be joined at most.
    """

    corpus: Corpus
    prose: list[str]
    levelled: list[LevelledTexts]
    pairs: list[tuple[Simplifications, int]]

    def compose(self, tokenizer: Tokenizer, n_pairs: int, seed: int) -> ComposedTexts:
        """All texts to learn from; the same for the same data and seed."""
        composer = Composer(tokenizer, seed)
        composer.add_corpus(self.corpus, seed)
        composer.add_prose(self.prose)
        for levelled in self.levelled:
            composer.add_levels(levelled)
        for pairs, longest in self.pairs:
            composer.add_pairs(pairs, n_pairs // len(self.pairs), longest)
        return composer.composed()


def read_sources(data: Path, prose: Sequence[Path], levels: Sequence[Path], pairs: Sequence[Path]) -> Sources:
    """Read all files before anything is computed.

    Args:
        data: CSV of excerpts with the columns `excerpt`, `target`, `url`.
        prose: CSV with the column `text`.
        levels: CSV with `sentence` and `level_a`, `level_b` or `level`, and `source` where there is one.
        pairs: CSV with `harder` and `easier`, or with `original`, `simple_0`, `simple_1`, ….

    Raises:
        CorpusError: if `data` is no corpus.
        YardstickError: if another file is not what it should be.
        OSError: if one cannot be read.
    """
    return Sources(
        read_corpus(data),
        [row["text"] for path in prose for row in read_rows(path, ["text"])],
        [read_levels(path) for path in levels],
        [_read_simplifications(path) for path in pairs],
    )


def _read_simplifications(path: Path) -> tuple[Simplifications, int]:
    columns = columns_of(path)
    if {"harder", "easier"} <= set(columns):
        rows = read_rows(path, ["harder", "easier"])
        return Simplifications([row["harder"] for row in rows], [[row["easier"]] for row in rows]), 1
    simple = simplification_columns(path, columns)
    rows = read_rows(path, ["original", *simple])
    return Simplifications([row["original"] for row in rows], [[row[each] for each in simple] for row in rows]), (
        LONGEST_PAIR
    )
