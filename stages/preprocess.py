"""Stage `preprocess`, both parts: what the two scorers read of texts, made on the host or on a GPU."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from stages.features import FeatureSpec, extract
from stages.prepared import Prepared
from stages.tokens import load_tokenizer, tokenize

TOKENIZER, FEATURES = "tokenizer.json", "features.json"


class Preprocess(Protocol):
    """Makes of texts what the scorers read."""

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`."""


class HostPreprocess:
    """On the host.

    Args:
        folder: has `tokenizer.json` and `features.json`.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder / TOKENIZER)
        self._spec = FeatureSpec.load(folder / FEATURES)

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`, arrays of NumPy."""
        return Prepared(*tokenize(texts, self._tokenizer), extract(texts, self._spec))


def load_preprocess(folder: Path, gpu: int | None = None, tell: Callable[[int], None] = lambda _: None) -> Preprocess:
    """The stage from its artefacts.

    Args:
        folder: where they are.
        gpu: which one to work on; None for the host.
        tell: told how many rows the GPU left to the host, each time that it does.

    Raises:
        OSError, KeyError, ValueError: if an artefact is missing or malformed.
        ImportError: if a GPU is asked for and RAPIDS is not installed.
    """
    if gpu is None:
        return HostPreprocess(folder)
    from stages.device.preprocess import DevicePreprocess  # the host needs none of it

    return DevicePreprocess.load(folder, gpu, tell)
