"""The one file of `bls` that knows Triton: inner calls, requests as they come, answers as they go, metrics."""

import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from readability_triton.bls.answer import Answer
from readability_triton.bls.batch import OUTPUTS, Outcome
from readability_triton.bls.policy import RequestError
from readability_triton.bls.request import Request
from readability_triton.bls.row_queue import DEFAULT, Options
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import Kind
from readability_triton.stages.arrays import Array, as_array
from readability_triton.stages.errors import InvalidRowError

STAGE_TIMEOUT_S = 120.0
"""The longest that an inner call may take."""

QUEUE_IS_FULL, WAITED_TOO_LONG = "Exceeds maximum queue size", "Request timeout expired"
"""How Triton's dynamic batcher refuses a request."""

ON_HOST = frozenset({"bert-large", "cuml"})
"""Models whose outputs are asked for in host memory: scores are blended there, four bytes a row."""

MOST_THREADS = 1024
"""Each inner call blocks a thread. Lanes bound the calls in flight; calls that hang may add up to more."""

MOST_BACKGROUND_THREADS = 16
"""Of calls for which no client waits. A candidate that hangs blocks these for good, and no others."""


class TritonCalls:
    """`bls.lanes.CallModel` over the models of the running server. Arrays on a GPU are passed on without a copy."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_THREADS, "inner call")
        self._background = threading.Semaphore(MOST_BACKGROUND_THREADS)

    async def __call__(
        self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str], options: Options = DEFAULT
    ) -> dict[str, Array]:
        """Outputs by name.

        Raises:
            StageBusyError, StageLateError: if the model's queue refuses the call, or nothing comes for two minutes.
            StageError: if the model fails.
        """
        fields = _fields(options)
        if model in ON_HOST:
            fields["preferred_memory"] = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)
        request = pb_utils.InferenceRequest(
            model_name=model,
            requested_output_names=list(outputs),
            inputs=[as_tensor(name, array) for name, array in inputs.items()],
            **fields,
        )
        try:
            async with asyncio.timeout(STAGE_TIMEOUT_S):
                response = await self._in_thread(request.exec, options.is_background)
        except TimeoutError as error:
            raise StageLateError(model, f"no answer within {STAGE_TIMEOUT_S:g} s") from error
        except pb_utils.TritonModelException as error:
            raise _refused(model, str(error)) from error
        if response.has_error():
            raise _refused(model, response.error().message())
        return {tensor.name(): as_array(tensor) for tensor in response.output_tensors()}

    def _in_thread(self, blocking: Callable[[], Any], is_background: bool) -> "asyncio.Future[Any]":
        """As `loop.run_in_executor`, with one wake-up of the loop less."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def finish(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            try:
                result = blocking()
            except Exception as error:  # raised where the future is awaited
                loop.call_soon_threadsafe(finish, None, error)
            else:
                loop.call_soon_threadsafe(finish, result, None)

        if is_background:
            self._in_own_thread(work)
        else:
            self._threads.submit(work)
        return future

    def _in_own_thread(self, work: Callable[[], None]) -> None:
        """In a daemon's thread: the process may end while it is blocked."""
        if not self._background.acquire(blocking=False):
            raise StageBusyError("shadow", f"{MOST_BACKGROUND_THREADS} calls of candidates hang")

        def run() -> None:
            try:
                work()
            finally:
                self._background.release()

        threading.Thread(target=run, name="inner call in shadow", daemon=True).start()


def _fields(options: Options) -> dict[str, Any]:
    # Never the request's trace: the server dies on a child of a trace that `execute` has let go of (Triton 24.10).
    fields: dict[str, Any] = {}
    if options.parameters:
        fields["parameters"] = dict(options.parameters)
    if not math.isinf(options.timeout_s):
        fields["timeout"] = max(1, int(options.timeout_s * 1e6))
    return fields


def as_tensor(name: str, array: Array) -> Any:
    """An array as a tensor of Triton; one on a GPU is not copied."""
    if isinstance(array, np.ndarray):
        return pb_utils.Tensor(name, array)
    return pb_utils.Tensor.from_dlpack(name, array)


def read_request(request: Any, arrived: float) -> Request:
    """A request to `bls_pipeline`.

    Args:
        request: as `execute` gets it.
        arrived: seconds by the loop's clock.
    """
    excerpts, weights = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("excerpt", "BERT_WEIGHT")
    )
    return Request(excerpts, weights, **arrival(request, arrived))


def arrival(request: Any, arrived: float) -> dict[str, Any]:
    """The fields of `bls.request.Arrival`."""
    return {
        "parameters": json.loads(request.parameters() or "{}"),
        "arrived": arrived,
        "timeout_s": request.timeout() / 1e6,
        "is_cancelled": request.is_cancelled,
    }


def response_of(answer: Answer, wanted: Sequence[str]) -> Any:
    """The response to a request: the wanted outputs, or the error with its code."""
    if isinstance(answer, Outcome):
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, make(answer)) for name, make in OUTPUTS.items() if name in wanted]
        )
    return error_response(str(answer), code_of(answer))


def error_response(message: str, code: str) -> Any:
    """A response that says what is wrong."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, getattr(pb_utils.TritonError, code)))


def send(request: Any, response: Any) -> None:
    """Answer a request, for good."""
    request.get_response_sender().send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def send_not_sent(request: Any) -> None:
    """Answer a request whose answer could not be sent, which may have been too large, with an error."""
    send(request, error_response("the answer could not be sent", "INTERNAL"))


def new_family(kind: Kind, is_gauge: bool) -> Any:
    """A family on Triton's metrics endpoint."""
    family = pb_utils.MetricFamily
    return family(name=kind.name, description=kind.description, kind=family.GAUGE if is_gauge else family.COUNTER)


def code_of(error: Exception) -> str:
    """The name of Triton's code for an error."""
    if isinstance(error, InvalidRowError | RequestError):
        return "INVALID_ARG"
    if isinstance(error, CancelledRequestError):
        return "CANCELLED"
    return "UNAVAILABLE" if isinstance(error, StageBusyError | StageLateError) else "INTERNAL"


def _refused(model: str, message: str) -> StageError:
    if QUEUE_IS_FULL in message:
        return StageBusyError(model, message)
    return StageLateError(model, message) if WAITED_TOO_LONG in message else StageError(model, message)
