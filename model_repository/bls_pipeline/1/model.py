"""Glue: one batch of requests to `readability_triton.bls.orchestrator` and its answers back to Triton."""

import json
from pathlib import Path

import triton_python_backend_utils as pb_utils

from readability_triton.bls import degraded
from readability_triton.bls.arrival import SENT, Arrivals
from readability_triton.bls.batch import OUTPUTS, Outcome
from readability_triton.bls.calls import TritonStages
from readability_triton.bls.loop import CallLoop
from readability_triton.bls.metrics import Metrics
from readability_triton.bls.orchestrator import Request, answer, max_wait_s
from readability_triton.bls.policy import DEFAULT, RequestError, choose
from readability_triton.bls.stages import StageBusyError, StageLateError
from readability_triton.bls.tally import ERRORS, Tally
from readability_triton.stages.errors import InvalidRowError


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.defaults = {"policy": DEFAULT}
        self.defaults |= {key: value["string_value"] for key, value in config["parameters"].items()}
        choose({}, self.defaults), max_wait_s(self.defaults)  # what is wrong is told of now, not with the first request
        # Our own: the backend would run a coroutine in a loop on another thread, two switches of threads a batch.
        self.loop = CallLoop()
        self.tally = Tally()
        self.stages = TritonStages(Path(args["model_repository"]).parent, self.tally)
        self.arrivals = Arrivals(config["max_batch_size"])
        self.metrics = Metrics(self.tally, _counters)

    def execute(self, requests: list) -> list:
        return self.loop.run_until_complete(self._execute(requests))

    async def _execute(self, requests: list) -> list:
        excerpts, weights = (
            [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
            for name in ("excerpt", "BERT_WEIGHT")
        )
        self.arrivals.take(sum(map(len, excerpts)))
        parameters = [json.loads(request.parameters() or "{}") for request in requests]
        waited = [self.arrivals.waited_s(each.pop(SENT, None)) for each in parameters]
        self.stages.trace = requests[0].trace()
        asked = [Request(*each) for each in zip(excerpts, weights, parameters, waited, strict=True)]
        answers = await answer(asked, self.stages, self.defaults)
        self.arrivals.finish()
        return [self._pack(*each) for each in zip(requests, asked, answers, strict=True)]

    def finalize(self) -> None:
        self.metrics.close()

    def _pack(self, request, asked: Request, given):
        if not isinstance(given, Outcome):
            self.tally.add(ERRORS, type(given).__name__)
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(given), _code(given)))
        policy = asked.parameters.get("policy", self.defaults["policy"])
        self.tally.add_outcome(policy, given)
        if line := degraded.log_line(policy, request.request_id(), given):
            pb_utils.Logger.log_warn(line)
        names = [name for name in OUTPUTS if name in request.requested_output_names()]
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, OUTPUTS[name](given)) for name in names])


def _counters(name: str, description: str):
    return pb_utils.MetricFamily(name=name, description=description, kind=pb_utils.MetricFamily.COUNTER)


def _code(error: Exception) -> int:
    if isinstance(error, InvalidRowError | RequestError):
        return pb_utils.TritonError.INVALID_ARG
    if isinstance(error, StageBusyError | StageLateError):
        return pb_utils.TritonError.UNAVAILABLE
    return pb_utils.TritonError.INTERNAL
