"""The web application: static files, and JSON for what the script in them asks."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.file_text import PLAIN, READERS, file_text
from readability_triton.page.asked import LONGEST_TEXT, Asked, checked_text
from readability_triton.page.bands import BANDS
from readability_triton.page.failures import answer_error, as_json
from readability_triton.page.leaving import computed_for
from readability_triton.page.pipelines import BLS, PIPELINES, Pipelines
from readability_triton.page.policies import policies_as_json
from readability_triton.page.protection import LOOPBACK, bounded_body, protection
from readability_triton.page.scoring import score, score_sentences
from readability_triton.page.turns import Turns

STATIC = Path(__file__).parent / "static"

LARGEST_FILE = 16 << 20
LARGEST_REQUEST = 2 << 20
"""Bytes of JSON: `LONGEST_TEXT` characters fit, even if each is escaped."""

MOST_WAITING = 8

LEFT = 499
"""The status for a browser that is gone."""


def make_app(pipelines: Pipelines, samples: Mapping[str, str], hosts: Iterable[str] = LOOPBACK) -> Starlette:
    """The page over the pipelines of a server.

    Args:
        pipelines: what it asks.
        samples: name and text of each passage that it offers.
        hosts: names and addresses by which browsers may call it.
    """
    endpoints = _Endpoints(pipelines, samples)
    return Starlette(
        routes=[
            Route("/api/setup", endpoints.setup),
            Route("/api/state", endpoints.state),
            Route("/api/text", endpoints.text, methods=["POST"]),
            Route("/api/score", endpoints.score, methods=["POST"]),
            Route("/api/sentences", endpoints.sentences, methods=["POST"]),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ],
        middleware=protection(hosts),
        exception_handlers={ReadabilityError: answer_error, ClientDisconnect: _answer_nobody},
    )


def _answer_nobody(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse(None, LEFT)


class _Endpoints:
    def __init__(self, pipelines: Pipelines, samples: Mapping[str, str]) -> None:
        self._pipelines, self._samples = pipelines, samples
        # One at a time: two requests at once would be in each other's waterfalls.
        self._scoring = Turns(1, MOST_WAITING)
        self._reading = Turns(2, MOST_WAITING)

    async def setup(self, _request: Request) -> JSONResponse:
        """What does not depend on the server behind the page."""
        return JSONResponse(
            {
                "pipelines": PIPELINES,
                "policies": policies_as_json(),
                "bands": [band._asdict() for band in BANDS],
                "samples": [{"name": name, "text": text} for name, text in self._samples.items()],
                "longest_text": LONGEST_TEXT,
                "largest_file": LARGEST_FILE,
                "endings": [*PLAIN, *READERS],
            }
        )

    async def state(self, _request: Request) -> JSONResponse:
        """Whether the server answers, and what its configuration says; `error` if it does not."""
        try:
            model = await run_in_threadpool(self._pipelines.served_model, BLS)
        except ReadabilityError as error:
            return JSONResponse({"url": self._pipelines.url, "error": as_json(error)})
        quantiles = list(model.target_quantiles)
        return JSONResponse({"url": self._pipelines.url, "fitted_weight": model.bert_weight, "quantiles": quantiles})

    async def text(self, request: Request) -> JSONResponse:
        """The text of a file: its bytes are the body, its name the parameter `name`."""
        name = request.query_params.get("name", "file")
        body = await bounded_body(request, LARGEST_FILE)
        async with self._reading.turn():
            text = await run_in_threadpool(lambda: checked_text(file_text(name, body)))
        return JSONResponse({"text": text})

    async def score(self, request: Request) -> JSONResponse:
        """Both pipelines' answers to `Asked`; see `readability_triton.page.scoring.score`."""
        return await self._computed(request, score)

    async def sentences(self, request: Request) -> JSONResponse:
        """See `readability_triton.page.scoring.score_sentences`."""
        return await self._computed(request, score_sentences)

    async def _computed(
        self, request: Request, compute: Callable[[Pipelines, Asked, Callable[[], None]], Any]
    ) -> JSONResponse:
        asked = Asked.of(await bounded_body(request, LARGEST_REQUEST))
        async with self._scoring.turn():
            if await request.is_disconnected():
                raise ClientDisconnect
            return JSONResponse(await computed_for(request, partial(compute, self._pipelines, asked)))
