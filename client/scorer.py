"""Score texts on a Triton server."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from tritonclient.utils import InferenceServerException

from readability_triton.client.connection import Connection, note_failure
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.in_order import in_order
from readability_triton.client.protocol import PAUSE_S, TRIES, Batch, is_neighbours_error, may_fall_back, read_scores
from readability_triton.client.rows import Missing, row_in_call
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.client.servers import PROBE_S, Server, Servers, may_ask_elsewhere, may_retry, pause_s
from readability_triton.client.split import Route
from readability_triton.client.transports.grpc import GrpcTransport
from readability_triton.client.transports.http import HttpTransport
from readability_triton.client.transports.transport import Transport

Result = TypeVar("Result")


class Scorer(Connection[Transport]):
    """Scores texts; takes the arguments of `Connection`. Close it, or use it in a `with` statement.

    Any number of threads may share one. After a fork it opens connections of its own: over HTTP always; over gRPC only
    if gRPC was not used before, and otherwise it raises `ForkedProcessError`.
    """

    TRANSPORTS: ClassVar = {True: GrpcTransport, False: HttpTransport}

    def _start(self) -> None:
        self._opened_by, self._servers = os.getpid(), self._open_servers()
        self._inherited: list[Servers[Transport]] = []

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for server in self._servers_of_this_process():
            server.transport.close()

    def score(
        self,
        texts: Iterable[Any],
        bert_weight: float | Sequence[float] | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
        missing: Missing = "refuse",
        key: str | None = None,
    ) -> Scores:
        """Score any number of texts, sent in batches that the server takes.

        Args:
            texts: what to score, in a list, a pandas column, a NumPy array [N] or the like; bytes must be UTF-8.
            bert_weight: share of the encoder in each score, in [0, 1]: one for all texts, one for each, or None for the
                weight that the served model was fitted with.
            on_progress: called after each request with the number of texts just scored.
            missing: "refuse" None, NaN and other gaps, or give them the score "nan".
            key: whose call it is, such as a user's id: with a `split`, the same key meets the same pipeline. Without a
                key, each call is drawn.

        Returns:
            Scores in the order of `texts`, each with the pipeline that answered, an interval and a CEFR level;
            `Scores` says which scores have neither.

        Raises:
            InvalidRequestError: if a text or a weight is refused; `row` says which.
            ModelUnavailableError: if neither pipeline is ready.
            ServerUnreachableError: if nothing answers at the address.
            RequestTimeoutError: if a request takes longer than allowed.
            ServerBusyError: if a queue in the server is full.
            AccessDeniedError: if the server wants a token, a header or a certificate.
            InferenceError: if a model fails.
            ForkedProcessError: over gRPC, if it was used before this process was forked.
        """
        rows, cut = self._read(texts, bert_weight, missing, self.served_model())
        parts, score_batch = [], partial(self._score_batch, self._route(key))
        try:
            for part in in_order(score_batch, cut, min(self._in_flight, len(cut))):
                parts.append(part)
                on_progress(len(part.values))
        except InvalidRequestError as error:
            raise row_in_call(error, rows.at) from error
        return Scores.joined(parts).spread(rows.at, rows.total)

    def served_model(self) -> ServedModel:
        """What the pipeline's configuration says of it; requested once."""
        if self._served_model is None:
            self._served_model = self._first_answer(self._describe)
        return self._served_model

    def _score_batch(self, route: Route, batch: Batch) -> Scores:
        try:
            with route.recorded(len(batch.excerpts)) as given:
                given.append(self._first_answer(lambda name: self._infer(name, batch), route.names))
                return given[0]
        except InvalidRequestError as error:
            raise row_in_call(error, range(batch.start, batch.start + len(batch.excerpts))) from error

    def _first_answer(self, ask: Callable[[str], Result], names: Sequence[str] = ()) -> Result:
        """Ask the first pipeline, then the other; and again, after pauses, if that may help."""
        for number in range(1, self._retries + 1):
            try:
                return self._ask_pipelines(ask, names or self.model_names)
            except ReadabilityError as error:
                if not may_retry(error):
                    raise
            time.sleep(pause_s(number))
        return self._ask_pipelines(ask, names or self.model_names)

    def _ask_pipelines(self, ask: Callable[[str], Result], names: Sequence[str]) -> Result:
        *earlier, last = names
        for name in earlier:
            try:
                return self._beside_neighbours(ask, name)
            except ReadabilityError as error:
                if not may_fall_back(error):
                    raise
        return self._beside_neighbours(ask, last)

    def _beside_neighbours(self, ask: Callable[[str], Result], name: str) -> Result:
        """Send, and send again if the error is of another request in the same batch."""
        for number in range(1, TRIES):
            try:
                return ask(name)
            except ReadabilityError as error:
                if not is_neighbours_error(error):
                    raise
            time.sleep(number * PAUSE_S)
        return ask(name)

    def _describe(self, name: str) -> ServedModel:
        if name not in self._described:
            config = self._ask_servers(lambda transport: transport.model_config(name, self._timeout_s))
            self._described[name] = ServedModel.of(config)
        return self._described[name]

    def _infer(self, name: str, batch: Batch) -> Scores:
        model = self._describe(name)
        request = self._request(model, batch)

        def infer(transport: Transport) -> Scores:
            return read_scores(transport.infer(request, self._timeout_s), model, batch, self._options.details)

        try:
            return self._ask_servers(infer)
        except ReadabilityError as error:
            error.request_id = request.request_id
            raise

    def _ask_servers(self, ask: Callable[[Transport], Result]) -> Result:
        """Ask one server after the other, until one answers or refuses what is asked."""
        servers = self._servers_of_this_process()
        tried: list[Server[Transport]] = []
        while True:
            server = self._next(servers, tried)
            tried.append(server)
            try:
                with servers.asking(server):
                    answer = ask(server.transport)
                servers.answered(server)
                return answer
            except (InferenceServerException, OSError) as error:
                translated = note_failure(servers, server, error)
                if len(tried) == len(self._addresses) or not may_ask_elsewhere(translated):
                    raise translated from error

    def _next(self, servers: Servers[Transport], tried: Sequence[Server[Transport]]) -> Server[Transport]:
        if len(self._addresses) > 1 and (back := servers.due(tried)):
            if self._is_ready(back.transport):
                servers.answered(back)
                return back
            servers.failed(back)
        return servers.next(tried) or servers.first_out(tried)

    def _is_ready(self, transport: Transport) -> bool:
        try:
            return transport.is_ready(min(PROBE_S, self._timeout_s))
        except (InferenceServerException, OSError):
            return False

    def _servers_of_this_process(self) -> Servers[Transport]:
        if self._opened_by != os.getpid():
            # Kept, not closed: what belongs to the threads of the parent must not be touched here.
            self._inherited.append(self._servers)
            self._servers, self._opened_by = self._open_servers(), os.getpid()
        return self._servers
