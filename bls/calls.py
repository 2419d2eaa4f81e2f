"""The one file of `bls` that knows Triton: the named stages as BLS calls."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from readability_triton.bls.stages import StageBusyError, StageError, StageLateError, Tensor
from readability_triton.bls.tally import STAGE_CALLS, STAGE_FAILURES, STAGE_SECONDS, Tally
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.stages.prepared import Prepared

MOST_AT_ONCE = 8
"""Calls of one model in flight, others wait: a model that hangs cannot take all of the 32 threads with which Triton's
Python backend makes an instance's inner calls."""

STAGE_TIMEOUT_S = 120.0
"""How long a stage that says nothing at all is waited for."""

QUEUE_IS_FULL, WAITED_TOO_LONG = "Exceeds maximum queue size", "Request timeout expired"
"""How Triton's dynamic batcher refuses a request."""


class TritonStages:
    """`readability_triton.bls.stages.Stages` over the running server's models; tensors pass by DLPack, without a copy.

    Args:
        repository: the model repository, for `dag`.
        tally: told of every call.
    """

    def __init__(self, repository: Path | None = None, tally: Tally | None = None) -> None:
        self.trace: Any = None
        self._repository, self._tally = repository, tally or Tally()
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_AT_ONCE))
        # asyncio's own has but a few threads on a small machine, which calls that hang could use up.
        self._threads = ThreadPoolExecutor(1024)

    async def preprocess(self, excerpts: Tensor) -> Prepared:
        outputs = await self.call("preprocess", {"INPUT0": excerpts}, ["BERT_IDS", "BERT_AM", "TREE_FEATS"])
        return Prepared(outputs["BERT_IDS"], outputs["BERT_AM"], outputs["TREE_FEATS"])

    async def bert(self, ids: Tensor, mask: Tensor) -> Tensor:
        inputs = {"INPUT__0": ids, "INPUT__1": mask}
        return (await self._infer("bert-large", inputs, ["OUTPUT__0"], **_wanted_on_host()))["OUTPUT__0"]

    async def cuml(self, features: Tensor) -> Tensor:
        return await self._from_features("cuml", features)

    async def gate(self, features: Tensor) -> Tensor:
        return await self._from_features("gate", features)

    async def call(self, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Mapping[str, Tensor]:
        return await self._infer(model, inputs, outputs)

    def dag(self, ensemble: str) -> Dag:
        assert self._repository is not None
        return _read_dag(self._repository / ensemble / "config.pbtxt")

    async def _from_features(self, model: str, features: Tensor) -> Tensor:
        outputs = await self._infer(model, {"input__0": features}, ["output__0"], **_wanted_on_host())
        return outputs["output__0"]

    async def _infer(
        self, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str], **options: Any
    ) -> Mapping[str, Tensor]:
        start = time.perf_counter()
        if self.trace is not None:
            options["trace"] = self.trace
        tensors = [_named(name, tensor) for name, tensor in inputs.items()]
        request = pb_utils.InferenceRequest(
            model_name=model, requested_output_names=list(outputs), inputs=tensors, **options
        )
        failed = 1
        try:
            outputs_by_name = _outputs(model, await self._response(model, request))
            failed = 0
            return outputs_by_name
        finally:
            self._tally.add(STAGE_CALLS, model)
            self._tally.add(STAGE_SECONDS, model, time.perf_counter() - start)
            self._tally.add(STAGE_FAILURES, model, failed)  # 0 too, so that the series is there before it is needed

    async def _response(self, model: str, request: Any) -> Any:
        slot = self._slots[model]
        try:
            async with asyncio.timeout(STAGE_TIMEOUT_S):
                await slot.acquire()
                return await self._in_thread(request.exec, slot)
        except TimeoutError as error:
            raise StageLateError(model, f"no answer within {STAGE_TIMEOUT_S:g} s") from error
        except pb_utils.TritonModelException as error:
            raise _refused(model, str(error)) from error

    def _in_thread(self, blocking: Callable[[], Any], slot: asyncio.Semaphore) -> "asyncio.Future[Any]":
        """What `async_exec` does, but the slot is held until Triton has answered, even if nobody waits any more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def finish(result: Any, error: Exception | None) -> None:
            slot.release()
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            try:
                result = blocking()
            except Exception as error:  # the one who waits is told
                loop.call_soon_threadsafe(finish, None, error)
            else:
                loop.call_soon_threadsafe(finish, result, None)

        self._threads.submit(work)
        return future


def _outputs(model: str, response: Any) -> dict[str, Tensor]:
    if response.has_error():
        raise _refused(model, response.error().message())
    return {tensor.name(): tensor for tensor in response.output_tensors()}


def _named(name: str, tensor: Tensor) -> Any:
    """The tensor under another name. DLPack has no strings, so those are written anew."""
    if isinstance(tensor, np.ndarray):
        return pb_utils.Tensor(name, tensor)
    try:
        return pb_utils.Tensor.from_dlpack(name, tensor)
    except pb_utils.TritonModelException:
        return pb_utils.Tensor(name, tensor.as_numpy())


def _wanted_on_host() -> dict[str, Any]:
    """Scores are blended on the host: four bytes a row."""
    return {"preferred_memory": pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)}


def _refused(model: str, message: str) -> StageError:
    if QUEUE_IS_FULL in message:
        return StageBusyError(model, message)
    return StageLateError(model, message) if WAITED_TOO_LONG in message else StageError(model, message)


@cache
def _read_dag(config: Path) -> Dag:
    return Dag.of(read_config(config))
