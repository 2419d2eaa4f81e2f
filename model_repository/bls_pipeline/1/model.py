"""Glue: requests to `bls.orchestrator`, which runs in a thread of its own, and its answers back to Triton."""

import json
import threading
import time
import traceback
from functools import partial
from pathlib import Path

import triton_python_backend_utils as pb_utils

from readability_triton.bls import calls, degraded
from readability_triton.bls.answer import Answer
from readability_triton.bls.batch import Outcome
from readability_triton.bls.loop import CallLoop
from readability_triton.bls.metrics import Metrics
from readability_triton.bls.orchestrator import Orchestrator
from readability_triton.bls.policy import DEFAULT
from readability_triton.bls.settings import Settings, sees_gpu
from readability_triton.bls.tally import ERRORS, OUTCOMES, Tally, outcome_name
from readability_triton.bls.watchdog import Watchdog
from readability_triton.serving.outstanding import Outstanding


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        self.defaults = {"policy": DEFAULT} | parameters
        self.loop, self.tally, self.watchdog, self.outstanding = CallLoop(), Tally(), Watchdog(), Outstanding()
        self.orchestrator = Orchestrator(
            self.defaults,
            Settings.read(parameters, sees_gpu()),
            Path(args["model_repository"]).parent,
            calls.TritonCalls(),
            self.tally,
            self.watchdog,
        )
        self.metrics = Metrics(self.tally, self.orchestrator.gauges, calls.new_family)
        self.thread = threading.Thread(target=self.loop.run_forever, name="orchestrator", daemon=True)
        self.thread.start()
        self.watchdog.start()

    def execute(self, requests: list) -> None:
        """Accept the requests; the orchestrator answers each when it is done."""
        now, accepted, is_open = time.monotonic(), [], self.outstanding.accept(len(requests))
        for request in requests:
            if not is_open:
                self._send(request, calls.error_response("the server is stopping", "UNAVAILABLE"))
                continue
            try:
                asked = calls.read_request(request, now)
                accepted.append((asked, partial(self._respond, request, asked)))
            except Exception:  # an exception in `execute` would close the requests that were accepted too
                self._send(request, calls.error_response(traceback.format_exc(), "INTERNAL"))
        self.loop.call_soon_threadsafe(self.orchestrator.accept_all, accepted)

    def finalize(self) -> None:
        """Called when every request is answered."""
        self.loop.call_soon_threadsafe(self.orchestrator.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.watchdog.stop()
        self.metrics.close()

    def _respond(self, request, asked, answer: Answer) -> None:
        policy = str(asked.parameters.get("policy", self.defaults["policy"]))
        self.tally.add(OUTCOMES, outcome_name(answer))
        if isinstance(answer, Outcome):
            self.tally.add_outcome(policy, answer)
            if line := degraded.log_line(policy, request.request_id(), answer):
                pb_utils.Logger.log_warn(line)
        else:
            self.tally.add(ERRORS, type(answer).__name__)
        try:
            response = calls.response_of(answer, request.requested_output_names())
        except Exception:
            response = calls.error_response(traceback.format_exc(), "INTERNAL")
        self._send(request, response)

    def _send(self, request, response) -> None:
        self.outstanding.answer(partial(calls.send, request, response), partial(calls.send_not_sent, request))
