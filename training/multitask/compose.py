"""Texts to learn from, composed of sentences: excerpts, runs of their sentences, prose, levelled sentences, pairs.

Every text belongs to a fold, or to none if it may always be learned from; texts that share a sentence share the fold,
so that a model that never saw a fold saw no sentence of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from readability_triton.stages.sentences import sentence_spans
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import N_FOLDS, fold_of_rows
from readability_triton.training.yardsticks.levels import LevelledTexts
from readability_triton.training.yardsticks.openings import SENTENCES
from readability_triton.training.yardsticks.pairs import SENTENCES_PER_PASSAGE

LONGEST_RUN = 5
RUNS_PER_TEXT = 4
RUNS_PER_PASSAGE = 2
LONGEST_PAIR = 12
SINGLE_SENTENCE_SHARE = 0.2
"""Of pairs; the others have 2 to `LONGEST_PAIR` sentences."""


class Kind(IntEnum):
    """What a text is composed of."""

    ROW = 0
    """An excerpt of the corpus."""
    OPENING = 1
    """Its first sentences, as the yardstick takes them."""
    RUN = 2
    """One to five of its sentences, from anywhere."""
    PROSE = 3
    """A passage without a score."""
    PROSE_RUN = 4
    LEVELLED = 5
    """A sentence with a level."""
    LEVELLED_RUN = 6
    """Two to five sentences of one level and source."""
    HARDER = 7
    """Originals of a pair; the easier text is the next one."""
    EASIER = 8
    PAIRED = 9
    """A text of the yardstick of pairs; never learned from."""


@dataclass(frozen=True)
class Simplifications:
    """N sentences, each with the same number of simplifications by different people."""

    original: list[str]
    simple: list[list[str]]


@dataclass(frozen=True)
class ComposedTexts:
    """U texts as tokens, special ones left out.

    Attributes:
        tokens: of all sentences one after the other, INT64.
        sentences: where each sentence begins in `tokens`, and the end, INT64 [S + 1].
        parts: sentences of all texts one after the other, INT64.
        starts: where each text begins in `parts`, and the end, INT64 [U + 1].
        kind: `Kind` of each text, INT8 [U].
        fold: INT8 [U], -1 for none.
        target: FP64 [U], the human score of the excerpt that a text is from; NaN for none.
        level: FP64 [U]; NaN for none.
        strings: of the J texts that are scored out of fold (rows, parts of them, levelled sentences, texts of the
            yardstick of pairs).
        numbers: which of the U texts each of these is, INT64 [J].
    """

    tokens: NDArray[np.int64]
    sentences: NDArray[np.int64]
    parts: NDArray[np.int64]
    starts: NDArray[np.int64]
    kind: NDArray[np.int8]
    fold: NDArray[np.int8]
    target: NDArray[np.float64]
    level: NDArray[np.float64]
    strings: list[str]
    numbers: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text with the two special ones: INT64 [U]."""
        sizes = np.diff(self.sentences)[self.parts]
        return np.add.reduceat(sizes, self.starts[:-1]) + 2

    def of(self, *kinds: Kind, without_fold: int | Sequence[int] = ()) -> NDArray[np.int64]:
        """The texts of these kinds, but for those of some folds."""
        left_out = np.isin(self.fold, np.atleast_1d(np.array(without_fold, dtype=np.int64)))
        return np.flatnonzero(np.isin(self.kind, kinds) & ~left_out)

    def text_tokens(self, text: int) -> NDArray[np.int64]:
        """Tokens of one text, neither cut nor with special ones."""
        parts = self.parts[self.starts[text] : self.starts[text + 1]]
        return np.concatenate([self.tokens[self.sentences[part] : self.sentences[part + 1]] for part in parts])


class Composer:
    """Collects sentences and the texts that are made of them.

    Args:
        tokenizer: WordPiece, so that the tokens of sentences in a row are those of their text.
        seed: of all random choices.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._tokenizer, self._random = tokenizer, np.random.default_rng(seed)
        self._sentences: list[str] = []
        self._parts: list[list[int]] = []
        self._facts: list[tuple[int, int, float, float]] = []
        self._strings: list[tuple[str, int]] = []

    def add_corpus(self, corpus: Corpus, seed: int) -> None:
        """Excerpts, their openings and runs; the folds are those of `cross_validation.folds`."""
        fold = fold_of_rows(corpus, seed)
        rows = [self._row(text) for text in corpus.texts]
        for kind_of_row in (self._add_row, self._add_openings, self._add_runs):
            for row, number, target in zip(rows, fold, corpus.targets, strict=True):
                kind_of_row(row, int(number), float(target))

    def add_prose(self, passages: Sequence[str]) -> None:
        """Passages without scores, and runs of their sentences."""
        for text in passages:
            row = self._row(text)
            self._add(Kind.PROSE, row.sentences)
            for _ in range(RUNS_PER_PASSAGE):
                first, end = self._run(row)
                self._add(Kind.PROSE_RUN, row.sentences[first:end])

    def add_levels(self, levelled: LevelledTexts, n_runs: int | None = None) -> None:
        """Sentences with levels, and runs of sentences of one level; folds are drawn.

        Args:
            levelled: sentences with levels.
            n_runs: how many runs; by default as many as there are sentences.
        """
        fold = self._random.integers(N_FOLDS, size=len(levelled.texts))
        alike: defaultdict[tuple[str, float, int], list[int]] = defaultdict(list)
        for text, level, source, number in zip(levelled.texts, levelled.levels, levelled.sources, fold, strict=True):
            (sentence,) = self._sentence_numbers([text])
            self._add(Kind.LEVELLED, [sentence], int(number), level=float(level), string=text)
            alike[source, float(level), int(number)].append(sentence)
        groups = [(key, sentences) for key, sentences in alike.items() if len(sentences) > 1]
        if not groups:
            return
        share = np.sqrt([len(sentences) for _, sentences in groups])  # rare levels more often than they occur
        for pick in self._random.choice(len(groups), n_runs or len(levelled.texts), p=share / share.sum()):
            (_, level, number), sentences = groups[pick]
            n = min(len(sentences), int(self._random.integers(2, LONGEST_RUN + 1)))
            chosen = self._random.choice(sentences, n, replace=False)
            self._add(Kind.LEVELLED_RUN, chosen.tolist(), number, level=level)

    def add_pairs(self, pairs: Simplifications, n_pairs: int, longest: int = LONGEST_PAIR) -> None:
        """Pairs of 1 to `longest` originals and the same sentences simplified by one person each.

        The folds are blocks of `SENTENCES_PER_PASSAGE` sentences, so that every passage of the yardstick has one.
        """
        fold = np.arange(len(pairs.original)) // SENTENCES_PER_PASSAGE % N_FOLDS
        originals = self._sentence_numbers(pairs.original)
        simple = [self._sentence_numbers(each) for each in pairs.simple]
        in_fold = [np.flatnonzero(fold == number) for number in range(N_FOLDS)]
        possible = [number for number in range(N_FOLDS) if len(in_fold[number])]
        for number in self._random.choice(possible, n_pairs):
            is_single = longest == 1 or self._random.random() < SINGLE_SENTENCE_SHARE
            n = 1 if is_single else int(self._random.integers(2, longest + 1))
            rows = self._random.choice(in_fold[number], min(n, len(in_fold[number])), replace=False)
            person = int(self._random.integers(len(pairs.simple[0])))
            self._add(Kind.HARDER, [originals[row] for row in rows], int(number))
            self._add(Kind.EASIER, [simple[row][person] for row in rows], int(number))
        self._add_paired(pairs, fold, originals, simple, SENTENCES_PER_PASSAGE if longest > 1 else 1)

    def _add_paired(
        self,
        pairs: Simplifications,
        fold: NDArray[np.intp],
        originals: list[int],
        simple: list[list[int]],
        n_sentences: int,
    ) -> None:
        """The texts of the yardstick of pairs, joined as `yardsticks.pairs.read_pairs` joins them."""
        for first in range(0, len(originals) - n_sentences + 1, n_sentences):
            block = slice(first, first + n_sentences)
            number = int(fold[first])
            self._add(Kind.PAIRED, originals[block], number, string=" ".join(pairs.original[block]))
            for person in range(len(pairs.simple[0])):
                numbers = [each[person] for each in simple[block]]
                string = " ".join(each[person] for each in pairs.simple[block])
                self._add(Kind.PAIRED, numbers, number, string=string)

    def composed(self) -> ComposedTexts:
        """All that was added.

        Raises:
            ValueError: if nothing was.
        """
        if not self._parts:
            raise ValueError("there is no text to learn from")
        whole = Tokenizer.from_str(self._tokenizer.to_str())
        whole.no_truncation()
        whole.no_padding()
        encoded = whole.encode_batch(self._sentences, add_special_tokens=False)
        ids = [np.array(each.ids, dtype=np.int64) for each in encoded]
        kind, fold, target, level = (np.array(column) for column in zip(*self._facts, strict=True))
        return ComposedTexts(
            np.concatenate(ids),
            _starts(ids),
            np.concatenate([np.array(parts, dtype=np.int64) for parts in self._parts]),
            _starts(self._parts),
            kind.astype(np.int8),
            fold.astype(np.int8),
            target.astype(float),
            level.astype(float),
            [string for string, _ in self._strings],
            np.array([number for _, number in self._strings], dtype=np.int64),
        )

    def _add_row(self, row: "_Row", fold: int, target: float) -> None:
        self._add(Kind.ROW, row.sentences, fold, target, string=row.text)

    def _add_openings(self, row: "_Row", fold: int, target: float) -> None:
        for n in SENTENCES:
            self._add(Kind.OPENING, row.sentences[:n], fold, target, string=row.part(0, n))

    def _add_runs(self, row: "_Row", fold: int, target: float) -> None:
        for _ in range(RUNS_PER_TEXT):
            first, end = self._run(row)
            self._add(Kind.RUN, row.sentences[first:end], fold, target, string=row.part(first, end))

    def _run(self, row: "_Row") -> tuple[int, int]:
        """First and end of one to five sentences in a row."""
        n = min(len(row.sentences), int(self._random.integers(1, LONGEST_RUN + 1)))
        first = int(self._random.integers(0, len(row.sentences) - n + 1))
        return first, first + n

    def _row(self, text: str) -> "_Row":
        spans = list(sentence_spans(text)) or [(0, len(text))]
        return _Row(text, spans, self._sentence_numbers([text[start:end] for start, end in spans]))

    def _sentence_numbers(self, sentences: Sequence[str]) -> list[int]:
        first = len(self._sentences)
        self._sentences += sentences
        return list(range(first, first + len(sentences)))

    def _add(
        self,
        kind: Kind,
        sentences: list[int],
        fold: int = -1,
        target: float = np.nan,
        level: float = np.nan,
        string: str | None = None,
    ) -> None:
        if string is not None:
            self._strings.append((string, len(self._parts)))
        self._parts.append(sentences)
        self._facts.append((int(kind), fold, target, level))


@dataclass(frozen=True)
class _Row:
    """A text, where its sentences stand in it, and their numbers."""

    text: str
    spans: list[tuple[int, int]]
    sentences: list[int]

    def part(self, first: int, end: int) -> str:
        """The text from one sentence to before another."""
        spans = self.spans[first:end]
        return self.text[spans[0][0] : spans[-1][1]]


def _starts(parts: Sequence[Sequence[int] | NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
