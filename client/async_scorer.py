"""Score texts on a Triton server, for services built on asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import aiohttp
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from readability_triton.client.connection import Connection
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.protocol import (
    PAUSE_S,
    TRIES,
    Batch,
    batches,
    infer_arguments,
    is_neighbours_error,
    may_fall_back,
    read_scores,
    translate,
)
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel


class AsyncScorer(Connection):
    """`Scorer` with coroutines: the same arguments, results and errors. Make it inside a running loop."""

    LIBRARIES: ClassVar = {"grpc": tritonclient.grpc.aio, "http": tritonclient.http.aio}
    HTTP_TIMEOUTS: ClassVar = ("conn_timeout",)

    async def __aenter__(self) -> "AsyncScorer":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def score(self, texts: Sequence[str | bytes], bert_weight: float | Sequence[float] | None = None) -> Scores:
        """Score any number of texts; see `readability_triton.client.scorer.Scorer.score`."""
        model = await self.served_model()
        cut = batches(texts, model.weight_or_default(bert_weight), self._rows_per_request(model))
        return Scores.joined([await self._first_answer(partial(self._infer, batch=batch)) for batch in cut])

    async def served_model(self) -> ServedModel:
        """What the pipeline's configuration says of it; requested once."""
        if self._served_model is None:
            self._served_model = await self._first_answer(self._describe)
        return self._served_model

    async def _first_answer(self, ask: Callable[[str], Awaitable[Any]]) -> Any:
        *earlier, last = self.model_names
        for name in earlier:
            try:
                return await self._with_retries(ask, name)
            except ReadabilityError as error:
                if not may_fall_back(error):
                    raise
        return await self._with_retries(ask, last)

    async def _with_retries(self, ask: Callable[[str], Awaitable[Any]], name: str) -> Any:
        """Send, and send again if the error is of another request in the same batch."""
        for number in range(1, TRIES):
            try:
                return await ask(name)
            except ReadabilityError as error:
                if not is_neighbours_error(error):
                    raise
            await asyncio.sleep(number * PAUSE_S)
        return await ask(name)

    async def _describe(self, name: str) -> ServedModel:
        if name not in self._described:
            self._described[name] = await self._request_description(name)
        return self._described[name]

    async def _request_description(self, name: str) -> ServedModel:
        as_json = {"as_json": True} if self._is_grpc else {}
        try:
            async with asyncio.timeout(self._timeout_s):
                return ServedModel.of(await self._client.get_model_config(name, **as_json))
        except (InferenceServerException, OSError, aiohttp.ClientError) as error:
            raise translate(error, url=self.url) from error

    async def _infer(self, name: str, batch: Batch) -> Scores:
        model, asked = await self._describe(name), self._options_for(name)
        arguments = infer_arguments(self._library, batch, asked, model)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.infer(name, **arguments)
            return read_scores(answer, model, batch, self._options.details)
        except (InferenceServerException, OSError, aiohttp.ClientError) as error:
            raise translate(error, batch.start, self.url) from error
