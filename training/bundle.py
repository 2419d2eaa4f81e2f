"""What a training leaves behind: small enough to commit, enough to build both artefacts from the base encoder.

A bundle is a folder with `bundle.json` (what it is), `encoder.safetensors.xz` (what fine-tuning changed, and the
linear layer), `forest.tl.xz` (a Treelite checkpoint, compressed), `features.json` (vocabulary and normalisation),
`trained_urls.bin` (hashes of the sources) and `out_of_fold.safetensors` (cross-validated scores of the rows, by the
hash of their text), so that an evaluation knows what was trained on, and `README.md`, the model card.
"""

import hashlib
import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import treelite
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save, save_file

from readability_triton.stages.cefr import LevelLine
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.interval import IntervalTable

DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "minilm"
HASH_BYTES = 8

FILES = (
    "bundle.json",
    "encoder.safetensors.xz",
    "forest.tl.xz",
    "features.json",
    "trained_urls.bin",
    "out_of_fold.safetensors",
)
"""What `Bundle.save` writes; a model card, a recipe and a log may lie beside."""

FORMAT = 2
"""Of bundles. 1 counted sentences by other rules: its forest would be given counts that it did not learn."""


@dataclass(frozen=True)
class Facts:
    """The contents of `bundle.json`.

    Attributes:
        encoder: hub id or folder of the base encoder.
        encoder_sha256: SHA-256 of its weights, as `readability_triton.training.base_encoder.BaseEncoder` has it.
        layers: layers whose outputs are averaged, 1 for the first.
        bert_weight: the blend weight with the least out-of-fold error.
        quantiles: of the training targets, evenly spaced from the least to the greatest.
        reference_scores: what encoder and forest must give for the sample passages, in order: [bert, cuml] each.
        counts: whether counts of tokens enter the encoder's score.
        interval: how far a score may lie from what people would say; None if it was not calibrated.
        level_line: from scores to CEFR levels; None if no levels were at hand.
        made_by: the program that trained the weights, for the model card.
        format: `FORMAT` of the program that wrote it.
    """

    encoder: str
    encoder_sha256: str
    layers: list[int]
    bert_weight: float
    quantiles: list[float]
    reference_scores: list[list[float]]
    counts: bool = False
    interval: IntervalTable | None = None
    level_line: LevelLine | None = None
    made_by: str = "`readability train`"
    format: int = FORMAT

    @classmethod
    def from_json(cls, text: str) -> "Facts":
        """What `bundle.json` holds.

        Raises:
            TypeError: if it is JSON of something else.
            ValueError: if it is no JSON, or a table in it does not fit.
        """
        facts = json.loads(text)
        if not isinstance(facts, dict):
            raise TypeError(f"an object is needed, not {text[:20]!r}")
        facts.setdefault("format", 1)  # the first format did not say
        for name, kind in (("interval", IntervalTable), ("level_line", LevelLine)):
            if facts.get(name) is not None:
                facts[name] = kind(**facts[name])
        return cls(**facts)


@dataclass(frozen=True)
class OutOfFold:
    """Scores of N texts by models that never saw their sources: training rows, and in a multi-task training more.

    Attributes:
        texts: `hash_text` of each, UINT64 [N], rising.
        bert: the encoder's scores, FP32 [N].
        cuml: the forest's scores, FP32 [N]; NaN of a text that `refit` had no forest's score of.
    """

    texts: NDArray[np.uint64]
    bert: NDArray[np.float32]
    cuml: NDArray[np.float32]

    @classmethod
    def of(cls, texts: Sequence[str], bert: NDArray[np.float64], cuml: NDArray[np.float64]) -> "OutOfFold":
        """Scores FP64 [N] of N texts; of one that occurs more than once, the first."""
        hashes = np.array([hash_text(text) for text in texts], dtype=np.uint64)
        known, first = np.unique(hashes, return_index=True)
        return cls(known, bert[first].astype(np.float32), cuml[first].astype(np.float32))

    def find(self, texts: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where each of N texts stands, INT [N], and which of them do not."""
        hashes = np.array([hash_text(text) for text in texts], dtype=np.uint64)
        if not len(self.texts):
            return np.zeros(len(hashes), np.intp), np.arange(len(hashes))
        at = np.searchsorted(self.texts, hashes).clip(max=len(self.texts) - 1)
        return at, np.flatnonzero(self.texts[at] != hashes)

    def scores(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Scores FP64 [2, N] of N texts by encoder and forest, and which of the texts do not have both."""
        at, unknown = self.find(texts)
        known = np.delete(np.arange(len(texts)), unknown)
        scores = np.full((2, len(texts)), np.nan)
        scores[:, known] = self.bert[at[known]], self.cuml[at[known]]
        return scores, np.flatnonzero(np.isnan(scores).any(axis=0))


@dataclass(frozen=True)
class Bundle:
    """Everything that training learned; `changes` is what `readability_triton.training.changes.pack` makes."""

    facts: Facts
    changes: Mapping[str, NDArray[np.generic]]
    forest: bytes
    features: FeatureSpec
    trained_urls: frozenset[bytes]
    out_of_fold: OutOfFold

    def save(self, folder: Path) -> None:
        """Write the bundle's files, all but the model card."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bundle.json").write_text(json.dumps(asdict(self.facts), indent=1) + "\n", encoding="utf-8")
        (folder / "encoder.safetensors.xz").write_bytes(lzma.compress(save(dict(self.changes)), preset=9))
        (folder / "forest.tl.xz").write_bytes(lzma.compress(self.forest, preset=9))
        self.features.save(folder / "features.json")
        (folder / "trained_urls.bin").write_bytes(b"".join(sorted(self.trained_urls)))
        save_file(asdict(self.out_of_fold), folder / "out_of_fold.safetensors")

    @classmethod
    def load(cls, folder: Path, oldest: int = FORMAT) -> "Bundle":
        """Read what `save` wrote.

        Args:
            folder: of the bundle.
            oldest: the oldest format to accept; what it lacks is for the caller to fit anew.

        Raises:
            OSError: if a file is missing.
            ValueError: if one is malformed, or the bundle is of another format.
        """
        try:
            urls = (folder / "trained_urls.bin").read_bytes()
            facts = Facts.from_json((folder / "bundle.json").read_text(encoding="utf-8"))
            if not oldest <= facts.format <= FORMAT:
                raise ValueError(
                    f"its format is {facts.format}, this program reads {FORMAT}: sentences are counted by other rules; "
                    "fit its forest anew: readability refit --data TRAINING.csv --bundle BUNDLE"
                )
            return cls(
                facts=facts,
                changes=load(lzma.decompress((folder / "encoder.safetensors.xz").read_bytes())),
                forest=lzma.decompress((folder / "forest.tl.xz").read_bytes()),
                features=FeatureSpec.load(folder / "features.json"),
                trained_urls=frozenset(urls[at : at + HASH_BYTES] for at in range(0, len(urls), HASH_BYTES)),
                out_of_fold=OutOfFold(**load_file(folder / "out_of_fold.safetensors")),
            )
        except (SafetensorError, lzma.LZMAError, EOFError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{folder} is not a bundle: {type(error).__name__}: {error}") from error


def hash_url(url: str) -> bytes:
    """The first 8 bytes of the url's SHA-256: enough to recognise a source, not to name it."""
    return hashlib.sha256(url.encode()).digest()[:HASH_BYTES]


def hash_text(text: str) -> int:
    """The first 8 bytes of the text's SHA-256, as a number: enough to recognise an excerpt, not to rebuild it."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:HASH_BYTES], "big")


def quantiles(targets: NDArray[np.float64], steps: int = 20) -> list[float]:
    """Evenly spaced quantiles of the targets, `steps + 1` of them, to three decimals."""
    return np.quantile(targets, np.linspace(0, 1, steps + 1)).round(3).tolist()


def forest_bytes(forest: treelite.Model) -> bytes:
    """The forest as a Treelite checkpoint."""
    return bytes(forest.serialize_bytes())
