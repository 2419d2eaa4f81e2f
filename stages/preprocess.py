"""Stage `preprocess` on the host: token ids, attention mask and features of texts."""

from collections.abc import Sequence
from pathlib import Path

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.prepared import FEATURES, TOKENIZER, Prepared
from readability_triton.stages.tokens import load_tokenizer, tokenize


class HostPreprocess:
    """Implements `readability_triton.stages.prepared.Preprocess` with NumPy.

    Args:
        folder: has `tokenizer.json` and `features.json`.

    Raises:
        OSError, KeyError, ValueError: if an artefact is missing or malformed.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder / TOKENIZER)
        self._spec = FeatureSpec.load(folder / FEATURES)

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`, arrays of NumPy."""
        return Prepared(*tokenize(texts, self._tokenizer), extract(texts, self._spec))
