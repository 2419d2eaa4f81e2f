"""Stage `cuml` on a GPU: RAPIDS forest inference."""

from pathlib import Path
from typing import Any

from readability_triton.stages.arrays import Array
from readability_triton.stages.device.memory import share_one_pool

MODEL_TYPE = "treelite_checkpoint"


class DeviceForest:
    """A Treelite checkpoint on a GPU.

    Args:
        checkpoint: `checkpoint.tl`, a regression forest.
        gpu: which one.

    Raises:
        ImportError: if RAPIDS is not installed.
    """

    def __init__(self, checkpoint: Path, gpu: int) -> None:
        self._cupy = share_one_pool(gpu)
        self._forest = _load(str(checkpoint), gpu)

    def predict(self, features: Array) -> Array:
        """Scores of normalised features: FP32 [B, 207], on the host or the GPU, to FP32 [B, 1] on the GPU."""
        scores = self._forest.predict(self._cupy.asarray(features))
        return scores.reshape(-1, 1).astype(self._cupy.float32)


def _load(checkpoint: str, gpu: int) -> Any:
    """The forest by nvForest, RAPIDS' package for it from 26.04 on; before, by cuML (whose `fil` goes in 26.10).

    Precision None is the forest's own: trees trained in FP64 compare in FP64, as on the host.
    """
    try:
        import nvforest  # only where a GPU is
    except ImportError:
        from cuml.fil import ForestInference

        return ForestInference.load(
            checkpoint, precision=None, model_type=MODEL_TYPE, output_type="cupy", device_id=gpu
        )
    return nvforest.load_model(checkpoint, model_type=MODEL_TYPE, device="gpu", precision=None, device_id=gpu)
