"""The third pipeline: the client prepares and blends with the same stages, the server runs `bert-large` and `cuml`.

It is the placement for a server whose GPU runs the models only. The price is the tensors: ids and mask take 8 kB a
row, where the pipelines in the server take the text.
"""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient

from readability_triton.client.protocol import column, input_tensors
from readability_triton.stages.blend import blend, check_weights
from readability_triton.stages.excerpts import decode
from readability_triton.stages.preprocess import HostPreprocess


class HybridPipeline:
    """Scores as `ensemble_all` gives them, to 1e-5.

    Args:
        repository: the model repository that the server has, built; tokenizer and features are read from it.
        client: a connection to the server.

    Raises:
        OSError, ValueError: if `preprocess` is not built.
    """

    def __init__(self, repository: Path, client: InferenceServerClient) -> None:
        self._preprocess = HostPreprocess(repository / "preprocess" / "1")
        self._client = client

    async def score(
        self, excerpts: NDArray[Any], weights: NDArray[np.float32], timeout_s: float | None = None
    ) -> NDArray[np.float32]:
        """Blended scores, FP32 [B, 1].

        Args:
            excerpts: object array [B, 1] of UTF-8 bytes.
            weights: FP32 [B, 1], the share of `bert-large` in each row's score.
            timeout_s: how long the server may take.

        Raises:
            InvalidRowError: if a text or a weight is refused.
            InferenceServerException: if a model does not answer, or with something else than FP32 [B, 1].
        """
        texts = decode(excerpts.ravel())
        check_weights(weights)
        ids, mask, features = self._preprocess.prepare(texts)
        bert, cuml = await asyncio.gather(
            self._infer("bert-large", {"INPUT__0": ids, "INPUT__1": mask}, "OUTPUT__0", timeout_s),
            self._infer("cuml", {"input__0": features}, "output__0", timeout_s),
        )
        return blend(weights, bert, cuml)

    async def _infer(
        self, model: str, arrays: dict[str, NDArray[Any]], output: str, timeout_s: float | None
    ) -> NDArray[np.float32]:
        inputs = input_tensors(tritonclient.grpc, arrays)
        answer = await self._client.infer(model, inputs, client_timeout=timeout_s)
        return column(answer, model, output, len(next(iter(arrays.values()))), np.float32)
