"""A load of many requests to one model, each of them explained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.transports.transport import Parameter
from readability_triton.compare.breakdown import Breakdown, between, by_model
from readability_triton.explain.clock import Sent
from readability_triton.explain.collector import Collector
from readability_triton.explain.one_request import (
    STATISTICS,
    Answered,
    Explainer,
    Model,
    by_own_spans,
    by_statistics,
    by_trace,
)
from readability_triton.explain.profile import Profile
from readability_triton.explain.server import Inputs
from readability_triton.explain.triton_traces import TraceError

ROUND = 100
"""Requests, or twenty for each in flight, until the traces are read: the load stops meanwhile, and little is kept."""

STOPPED = "Stopped before all requests were sent."
MISSING = "{missing} of {answered} requests have no trace: {why}."


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        model: to which model.
        requests: inputs, sent one after the other, and again from the first.
        count: how many requests to send.
        concurrency: how many are in flight.
        parameters: of every request.
        outputs: which to ask for; None for all.
        warm_up: requests that are sent before and not counted.
    """

    model: str
    requests: Sequence[Inputs]
    count: int = 1000
    concurrency: int = 1
    parameters: Mapping[str, Parameter] | None = None
    outputs: Sequence[str] | None = None
    warm_up: int = 10


def explain_many(explainer: Explainer, load: Load, on_progress: Callable[[int], None] = lambda _: None) -> Profile:
    """Send a load and sum up where the time of its requests went.

    Ctrl-C ends it with what there is.

    Args:
        explainer: of the server.
        load: what to send.
        on_progress: called with the number of requests just finished.

    Raises:
        ReadabilityError: if no request is answered: the first request's error.
        ValueError: if there is nothing to send.
        KeyboardInterrupt: if it is stopped before anything is explained.
    """
    if not load.requests or load.count < 1 or load.concurrency < 1:
        raise ValueError(
            f"nothing to send: {load.count} of {len(load.requests)} requests, {load.concurrency} in flight"
        )
    return _Run(explainer, load, on_progress).run()


class _Run:
    def __init__(self, explainer: Explainer, load: Load, on_progress: Callable[[int], None]) -> None:
        self._explainer, self._load, self._on_progress = explainer, load, on_progress
        self._model: Model = explainer.model(load.model)
        self._collector = Collector(load.model)
        self._first_error: ReadabilityError | None = None
        self._total_ns = self._answered = self._missing = 0

    def run(self) -> Profile:
        requests = cycle(self._load.requests)
        for inputs in islice(cycle(self._load.requests), self._load.warm_up):
            self._send(inputs)
        before = self._statistics()
        notes: tuple[str, ...] = ()
        pool = ThreadPoolExecutor(self._load.concurrency)
        try:
            for size in self._rounds():
                self._collect([self._counted(each) for each in pool.map(self._send, islice(requests, size))])
        except KeyboardInterrupt:
            if not self._answered:
                raise
            notes = (STOPPED,)
        finally:
            pool.shutdown(cancel_futures=True)
        return self._profile(before, notes)

    def _rounds(self) -> Iterator[int]:
        size = max(ROUND, 20 * self._load.concurrency)
        for sent in range(0, self._load.count, size):
            yield min(size, self._load.count - sent)

    def _send(self, inputs: Inputs) -> Answered | ReadabilityError:
        try:
            answered = self._explainer.send(self._model, inputs, self._load.parameters or {}, self._load.outputs)
        except ReadabilityError as error:
            return error
        answered.outputs.clear()
        return answered

    def _counted(self, result: Answered | ReadabilityError) -> Answered | ReadabilityError:
        self._on_progress(1)
        return result

    def _collect(self, results: Sequence[Answered | ReadabilityError]) -> None:
        answered = [each for each in results if isinstance(each, Answered)]
        for error in results:
            if isinstance(error, ReadabilityError):
                self._first_error = self._first_error or error
                self._collector.errors[str(error)] += 1
        for each in answered:
            self._answered += 1
            self._total_ns += each.sent.answered_ns - each.sent.sent_ns
            self._collector.add_answer(each.sent.total_ms)
            if self._model.has_spans:
                self._collector.add(by_own_spans(self._model, each))
        if self._model.tracing:
            self._read_traces(answered)
        if self._first_error and not self._answered:
            raise self._first_error

    def _read_traces(self, answered: Sequence[Answered]) -> None:
        """Add the traces of a round. The first one that does not come is waited for; those after it no longer."""
        tracing, waits = self._model.tracing, not self._model.why_not
        assert tracing is not None
        if answered and waits:
            tracing.flush()
        for each in answered:
            try:
                trace = tracing.wait_for(each.request_id) if waits else tracing.take(each.request_id)
            except (ReadabilityError, TraceError, OSError) as error:
                self._model.why_not, waits, trace = str(error), False, None
            if trace is None:
                self._missing += 1
            else:
                self._collector.add(by_trace(self._model, trace, each.sent))

    def _statistics(self) -> Breakdown:
        return {} if self._model.has_spans else by_model(self._explainer.server.statistics())

    def _profile(self, before: Breakdown, notes: tuple[str, ...]) -> Profile:
        source = self._model.source
        if self._missing and self._collector.explained:
            why = self._model.why_not
            notes = (*notes, MISSING.format(missing=self._missing, answered=self._answered, why=why))
        if not self._collector.explained:
            after = self._explainer.counted(self._model, before, self._answered)
            mean = Sent(0, self._total_ns // self._answered)
            self._collector.add(by_statistics(self._model, between(before, after), mean, self._answered))
            source = STATISTICS
        return self._collector.profile(source, notes)
