"""Send one request and say where its time went."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from readability_triton.client.access import Access
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.transports.transport import Parameter
from readability_triton.compare.breakdown import Breakdown, between, by_model
from readability_triton.ensemble.dag import Dag, is_ensemble
from readability_triton.explain import bls_spans, statistics, triton_traces
from readability_triton.explain.bls_spans import SPANS, SpansError
from readability_triton.explain.chart import hops_share
from readability_triton.explain.clock import Sent
from readability_triton.explain.critical_path import waterfall_of
from readability_triton.explain.server import Inputs, Outputs, ServerConnection
from readability_triton.explain.tracing import Tracing, TracingUnavailableError
from readability_triton.explain.triton_traces import Trace, TraceError
from readability_triton.explain.waterfall import Span, Waterfall

TIMEOUT_S = 60.0
COUNTED_WITHIN_S = 1.0
"""Triton counts a request after it has answered."""

OWN_SPANS = f"the model's own output {SPANS}"
TRACES = "Triton's traces"
STATISTICS = "Triton's statistics"

MUCH = 0.5
LATE = "Most of it is hops: Triton times a model that answers late only until its `execute` returns."


@dataclass(frozen=True)
class Explained:
    """An answer, and where its time went.

    Attributes:
        outputs: arrays by name.
        waterfall: of this request.
    """

    outputs: Outputs
    waterfall: Waterfall


@dataclass
class Model:
    """A served model, and the way to see into it.

    Attributes:
        name: the model's.
        dags: the graphs of the ensemble and of those in it.
        outputs: names of its outputs, without SPANS.
        has_spans: whether it notes its own spans.
        tracing: where Triton traces it for us.
        why_not: where neither: why Triton does not.
    """

    name: str
    dags: Mapping[str, Dag]
    outputs: tuple[str, ...]
    has_spans: bool
    tracing: Tracing | None = None
    why_not: str = ""

    @property
    def source(self) -> str:
        """Where its spans come from."""
        return OWN_SPANS if self.has_spans else TRACES if self.tracing else STATISTICS


@dataclass
class Explainer:
    """Sends requests to a server and says where their time went. Threads may share one, but for `close`.

    Args:
        url: `grpc://host:port`, with TLS `grpcs://`.
        access: certificates, headers, compression; headers go with calls to Triton's trace API too.
        timeout_s: of one request.
        traces_a_file: how many traces Triton writes at a time.
        removes_traces: whether to remove trace files that were read: where the server is our own.

    Raises:
        ValueError: if the url is not one of gRPC.
        OSError: if a certificate cannot be read.
    """

    url: str
    access: Access = field(default_factory=Access)
    timeout_s: float = TIMEOUT_S
    traces_a_file: int = 1
    removes_traces: bool = False
    server: ServerConnection = field(init=False)
    _models: dict[str, Model] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.server = ServerConnection(self.url, self.access, self.timeout_s)

    def __enter__(self) -> "Explainer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Have the server trace what it traced before, and close the connection."""
        try:
            self.end_tracing()
        finally:
            self.server.close()

    def end_tracing(self) -> None:
        """Have the server trace what it traced before. A server that is gone traces nothing."""
        for model in self._models.values():
            if model.tracing:
                try:
                    model.tracing.close()
                except ReadabilityError:
                    continue

    def model(self, name: str) -> Model:
        """What is known of a served model; tracing begins where it is needed.

        Raises:
            ReadabilityError: if there is no such model, or the server cannot be reached.
        """
        if name not in self._models:
            config = self.server.config(name)
            outputs = tuple(output.name for output in config.output if output.name != SPANS)
            model = Model(name, self._dags(name), outputs, len(outputs) < len(config.output))
            if not model.has_spans:
                try:
                    model.tracing = Tracing(self.server, name, self.traces_a_file, self.removes_traces)
                except TracingUnavailableError as error:
                    model.why_not = str(error)
            self._models[name] = model
        return self._models[name]

    def _dags(self, name: str) -> dict[str, Dag]:
        config = self.server.config(name)
        if not is_ensemble(config):
            return {}
        dag = Dag.of(config)
        dags = {name: dag}
        for step in dag.steps:
            dags |= self._dags(step.model)
        return dags

    def ask(
        self,
        name: str,
        inputs: Inputs,
        parameters: Mapping[str, Parameter] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> Explained:
        """Send a request.

        Args:
            name: the model.
            inputs: arrays by tensor name.
            parameters: the request's.
            outputs: which to ask for; None for all. SPANS is asked for and taken out.

        Raises:
            ReadabilityError: if the request fails, or the server cannot be reached.
        """
        model = self.model(name)
        before = None if model.has_spans else by_model(self.server.statistics())
        answered = self.send(model, inputs, parameters or {}, outputs)
        return Explained(answered.outputs, self._waterfall(model, answered, before))

    def send(
        self, model: Model, inputs: Inputs, parameters: Mapping[str, Parameter], outputs: Sequence[str] | None
    ) -> "Answered":
        """Send a request and note when."""
        request_id = uuid.uuid4().hex
        if model.has_spans:
            outputs = (*(model.outputs if outputs is None else outputs), SPANS)
        sent_ns = time.monotonic_ns()
        given = self.server.infer(model.name, inputs, outputs, parameters, request_id)
        sent = Sent(sent_ns, time.monotonic_ns())
        return Answered(request_id, sent, given, given.pop(SPANS, None))

    def _waterfall(self, model: Model, answered: "Answered", before: Breakdown | None) -> Waterfall:
        if model.has_spans:
            return by_own_spans(model, answered)
        if model.tracing:
            try:
                return by_trace(model, model.tracing.wait_for(answered.request_id), answered.sent)
            except (TraceError, OSError) as error:
                model.why_not = str(error)
        return by_statistics(model, between(before or {}, self.counted(model, before or {}, 1)), answered.sent, 1)

    def counted(self, model: Model, before: Breakdown, requests: int) -> Breakdown:
        """The statistics, once so many requests more are counted, or after a second."""
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            after = by_model(self.server.statistics())
            spent = between(before, after)
            if (model.name in spent and spent[model.name].requests >= requests) or time.monotonic() > deadline:
                return after
            time.sleep(0.01)


@dataclass(frozen=True)
class Answered:
    """A request that was answered.

    Attributes:
        request_id: that it was sent with.
        sent: when, and when it was answered.
        outputs: arrays by name.
        spans: output SPANS, where the model has it.
    """

    request_id: str
    sent: Sent
    outputs: Outputs
    spans: Any = None


def by_own_spans(model: Model, answered: Answered) -> Waterfall:
    """A waterfall from output SPANS; without anything of the server where that cannot be read."""
    try:
        if answered.spans is None:
            raise SpansError(f"{model.name} gave no output {SPANS}")
        spans, notes = bls_spans.spans_of(answered.spans, model.name, answered.sent)
    except SpansError as error:
        spans, notes = [Span("client", "client", 0.0, answered.sent.total_ms, None)], (str(error),)
    return waterfall_of(model.name, spans, OWN_SPANS, notes)


def by_trace(model: Model, trace: Trace, sent: Sent) -> Waterfall:
    """A waterfall from a trace of Triton."""
    began_ns, notes = sent.on_clock_of(trace.start, trace.end)
    client = Span("client", "client", 0.0, sent.total_ms, None)
    spans = [client, *triton_traces.spans_of(trace, model.dags, began_ns, first=1, parent=0)]
    waterfall = waterfall_of(model.name, spans, TRACES, notes)
    return replace(waterfall, notes=(*notes, LATE)) if trace.children and hops_share(waterfall) > MUCH else waterfall


def by_statistics(model: Model, spent: Breakdown, sent: Sent, ours: int) -> Waterfall:
    """A waterfall from Triton's statistics of the time."""
    spans, notes = statistics.spans_of(model.name, model.dags.get(model.name), spent, sent, ours)
    return waterfall_of(model.name, spans, STATISTICS, (f"No traces: {model.why_not}.", *notes))


def explain_one(
    url: str,
    model: str,
    inputs: Inputs,
    parameters: Mapping[str, Parameter] | None = None,
    access: Access = Access(),  # noqa: B008 - frozen
) -> Explained:
    """Send one request to a server; see `Explainer`, which keeps its connection for several."""
    with Explainer(url, access) as explainer:
        return explainer.ask(model, inputs, parameters)
