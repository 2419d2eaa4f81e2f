"""An ensemble through BLS: the steps of its config.pbtxt, each an inner call, and a place for conditions of your own.

The parameter `ensemble` in this model's config.pbtxt names the ensemble, of the same repository.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import triton_python_backend_utils as pb_utils

from readability_triton.bls import twin
from readability_triton.bls.calls import TritonStages
from readability_triton.bls.stages import Tensor
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.run import check_runnable


class TritonPythonModel:
    """Called by Triton's Python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the ensemble's steps, once."""
        config = json.loads(args["model_config"])
        ensemble = config["parameters"]["ensemble"]["string_value"]
        self.dag = Dag.of(read_config(Path(args["model_repository"]).parent / ensemble / "config.pbtxt"))
        check_runnable(self.dag)
        self.joined = config["max_batch_size"] > 0
        self.models = TritonStages()

    async def execute(self, requests: list) -> list:
        """Answer a batch of requests; the next one waits for it."""
        self.models.trace = requests[0].trace()
        asked = [self._unpack(request) for request in requests]
        return [self._pack(each) for each in await twin.answer(asked, self.dag, self._call, joined=self.joined)]

    async def _call(self, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Mapping[str, Tensor]:
        """One step, for all requests of a batch at once: inputs and outputs go by the model's own names for them."""
        # Conditions go here. What is returned takes the place of the model's outputs; the steps that read them go on
        # with it. Tensors of a step are looked into with `.as_numpy()`, those of the request are arrays. For example:
        #
        #     if model == "bert-large" and inputs["INPUT__1"].as_numpy().sum(axis=1).max() < 20:
        #         return await self.models.call("bert-small", inputs, outputs)
        #
        return await self.models.call(model, inputs, outputs)

    def _unpack(self, request: "pb_utils.InferenceRequest") -> twin.Request:
        given = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self.dag.inputs}
        arrays = {name: tensor.as_numpy() for name, tensor in given.items() if tensor is not None}
        return twin.Request(arrays, sorted(request.requested_output_names()))

    def _pack(self, answer: twin.Answer) -> "pb_utils.InferenceResponse":
        if isinstance(answer, Exception):
            code = getattr(pb_utils.TritonError, twin.code(answer))
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(twin.message(answer), code))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])
