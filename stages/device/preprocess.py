"""Stage `preprocess` on a GPU: texts go there, ids, mask and features stay there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from readability_triton.stages.arrays import joined
from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.device.memory import share_one_pool
from readability_triton.stages.device.tokens import CudfWordPiece, DeviceTokenizer, vocabulary_of
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.prepared import FEATURES, TOKENIZER, Prepared, Preprocess
from readability_triton.stages.preprocess import HostPreprocess
from readability_triton.stages.tokens import load_tokenizer

HOST_ROWS = 64
"""Batches of up to so many texts are prepared on the host. On an H100 the device takes some 20 ms for one text as for
sixteen, the host 0.4 ms a text; they break even near 90 (docs/gpu.md)."""


class DevicePreprocess:
    """Implements `readability_triton.stages.prepared.Preprocess` over arrays of one module, CuPy or NumPy.

    Args:
        tokenizer, features: the two parts, on the device.
        host: prepares a text for which the device's memory does not suffice.
        on_host_rows: called with how many rows of a larger batch were left to the host.
        host_rows: batches of up to so many texts are prepared by `host`.
    """

    def __init__(
        self,
        tokenizer: DeviceTokenizer,
        features: DeviceFeatures,
        host: Preprocess,
        on_host_rows: Callable[[int], object] = lambda _: None,
        host_rows: int = HOST_ROWS,
    ) -> None:
        self._tokenizer, self._features = tokenizer, features
        self._host, self._on_host_rows, self._host_rows = host, on_host_rows, host_rows

    @classmethod
    def load(
        cls, folder: Path, gpu: int, on_host_rows: Callable[[int], None], host_rows: int = HOST_ROWS
    ) -> "DevicePreprocess":
        """From the artefacts in `folder`, on this GPU. Takes some seconds: each character's treatment is compared."""
        cupy = share_one_pool(gpu)
        tokenizer = load_tokenizer(folder / TOKENIZER)
        wordpiece = CudfWordPiece(vocabulary_of(tokenizer))
        device = DeviceTokenizer(tokenizer, wordpiece, cupy, on_host_rows)
        features = DeviceFeatures(FeatureSpec.load(folder / FEATURES), cupy)
        return cls(device, features, HostPreprocess(folder), on_host_rows, host_rows)

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`: on the host for a small batch, else where the arrays lie.

        The device's pool has a bound (`stages/device/memory.py`), and a batch may hold the texts of several requests:
        one that does not fit is prepared in halves, and a text that does not fit by itself on the host.
        """
        if len(texts) <= self._host_rows:
            return self._host.prepare(texts)
        return self._on_device(texts)

    def _on_device(self, texts: Sequence[str]) -> Prepared:
        try:
            return Prepared(*self._tokenizer.tokenize(texts), self._features.extract(texts))
        except MemoryError:
            if len(texts) > 1:
                halves = [self._on_device(half) for half in (texts[: len(texts) // 2], texts[len(texts) // 2 :])]
                return Prepared(*(joined(arrays) for arrays in zip(*halves, strict=True)))
        self._on_host_rows(1)
        return self._host.prepare(texts)
