"""Stage `cuml` on a GPU: RAPIDS forest inference."""

from pathlib import Path

from readability_triton.stages.arrays import Array
from readability_triton.stages.device.memory import share_one_pool


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
        from cuml.fil import ForestInference  # only where a GPU is

        # Precision None is the forest's own: trees trained in FP64 compare in FP64, as on the host.
        self._forest = ForestInference.load(
            str(checkpoint), precision=None, model_type="treelite_checkpoint", output_type="cupy", device_id=gpu
        )

    def predict(self, features: Array) -> Array:
        """Scores of normalised features: FP32 [B, 207], on the host or the GPU, to FP32 [B, 1] on the GPU."""
        scores = self._forest.predict(self._cupy.asarray(features))
        return scores.reshape(-1, 1).astype(self._cupy.float32)
