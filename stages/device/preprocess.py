"""Stage `preprocess` on a GPU: texts go there, ids, mask and features stay there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.device.memory import share_one_pool
from readability_triton.stages.device.tokens import CudfWordPiece, DeviceTokenizer, vocabulary_of
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.prepared import FEATURES, TOKENIZER, Prepared
from readability_triton.stages.tokens import load_tokenizer


class DevicePreprocess:
    """Implements `readability_triton.stages.prepared.Preprocess` over arrays of one module, CuPy or NumPy."""

    def __init__(self, tokenizer: DeviceTokenizer, features: DeviceFeatures) -> None:
        self._tokenizer, self._features = tokenizer, features

    @classmethod
    def load(cls, folder: Path, gpu: int, tell: Callable[[int], None]) -> "DevicePreprocess":
        """From the artefacts in `folder`, on this GPU. Takes some seconds: each character's treatment is compared."""
        cupy = share_one_pool(gpu)
        tokenizer = load_tokenizer(folder / TOKENIZER)
        wordpiece = CudfWordPiece(vocabulary_of(tokenizer))
        spec = FeatureSpec.load(folder / FEATURES)
        return cls(DeviceTokenizer(tokenizer, wordpiece, cupy, tell), DeviceFeatures(spec, cupy))

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`, where the arrays lie."""
        return Prepared(*self._tokenizer.tokenize(texts), self._features.extract(texts))
