"""An ensemble through BLS: the steps of its config.pbtxt, each an inner call, and a place for conditions of your own.

The parameter `ensemble` in this model's config.pbtxt names the ensemble, of the same repository. Requests run side by
side: each is answered when its steps are done, and steps that take batches are called for the rows of several requests.
"""

import json
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import triton_python_backend_utils as pb_utils

from readability_triton.bls import calls, twin
from readability_triton.bls.lanes import RequestStages
from readability_triton.bls.loop import CallLoop
from readability_triton.bls.settings import Settings, sees_gpu
from readability_triton.bls.stages import Tensor
from readability_triton.bls.tally import Tally
from readability_triton.bls.watchdog import Watchdog
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.run import check_runnable
from readability_triton.serving.outstanding import Outstanding


class TritonPythonModel:
    """Called by Triton's Python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the ensemble's steps, and start the thread that runs them."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        repository = Path(args["model_repository"]).parent
        self.dag = Dag.of(read_config(repository / parameters["ensemble"] / "config.pbtxt"))
        check_runnable(self.dag)
        self.is_batched = config["max_batch_size"] > 0
        self.loop, self.watchdog, self.outstanding = CallLoop(), Watchdog(), Outstanding()
        settings = Settings.read({"fold": "none"} | parameters, sees_gpu())
        models = calls.TritonCalls()
        self.twin = twin.Twin(
            args["model_name"], self.dag, self._step, settings, repository, models, Tally(), self.watchdog
        )
        self.thread = threading.Thread(target=self.loop.run_forever, name="twin", daemon=True)
        self.thread.start()
        self.watchdog.start()

    async def _step(
        self, stages: RequestStages, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]
    ) -> Mapping[str, Tensor]:
        """One step of one request: inputs and outputs are arrays by the model's own names for them."""
        # Conditions go here. What is returned takes the place of the model's outputs; the steps that read them go on
        # with it. For example:
        #
        #     if model == "bert-large" and inputs["INPUT__1"].sum(axis=1).max() < 20:
        #         return await stages.call("bert-small", inputs, outputs)
        #
        return await stages.call(model, inputs, outputs)

    def execute(self, requests: list) -> None:
        """Accept the requests; each is answered when it is done."""
        now, accepted, is_open = time.monotonic(), [], self.outstanding.accept(len(requests))
        for request in requests:
            if not is_open:
                self._respond(request, calls.error_response("the server is stopping", "UNAVAILABLE"))
                continue
            try:
                accepted.append((self._read(request, now), partial(self._send, request)))
            except Exception:  # an exception in `execute` would close the requests that were accepted too
                self._respond(request, calls.error_response(traceback.format_exc(), "INTERNAL"))
        self.loop.call_soon_threadsafe(self.twin.accept_all, accepted)

    def finalize(self) -> None:
        """Called when every request is answered."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.watchdog.stop()

    def _read(self, request: "pb_utils.InferenceRequest", now: float) -> twin.Request:
        given = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self.dag.inputs}
        arrays = {name: tensor.as_numpy() for name, tensor in given.items() if tensor is not None}
        wanted = sorted(request.requested_output_names())
        return twin.Request(arrays, wanted, self.is_batched, **calls.arrival(request, now))

    def _send(self, request: "pb_utils.InferenceRequest", answer: twin.Answer) -> None:
        try:
            if isinstance(answer, Exception):
                response = calls.error_response(str(answer), twin.code(answer))
            else:
                response = pb_utils.InferenceResponse([calls.as_tensor(name, each) for name, each in answer.items()])
        except Exception:
            response = calls.error_response(traceback.format_exc(), "INTERNAL")
        self._respond(request, response)

    def _respond(self, request: "pb_utils.InferenceRequest", response: "pb_utils.InferenceResponse") -> None:
        self.outstanding.answer(partial(calls.send, request, response), partial(calls.send_not_sent, request))
