"""The one file of `bls` that knows Triton: the named stages as BLS calls."""

from collections.abc import Mapping

import triton_python_backend_utils as pb_utils

from bls.stages import Prepared, StageError, Tensor


class TritonStages:
    """`bls.stages.Stages` over the models of the running server. Tensors are passed on by DLPack, without a copy."""

    async def preprocess(self, excerpts: Tensor) -> Prepared:
        # DLPack has no strings, so this one tensor is written anew.
        inputs = [pb_utils.Tensor("INPUT0", excerpts)]
        outputs = await _infer("preprocess", inputs, ["BERT_IDS", "BERT_AM", "TREE_FEATS"])
        return Prepared(outputs["BERT_IDS"], outputs["BERT_AM"], outputs["TREE_FEATS"])

    async def bert(self, ids: Tensor, mask: Tensor) -> Tensor:
        return await _score("bert-large", {"INPUT__0": ids, "INPUT__1": mask}, "OUTPUT__0")

    async def cuml(self, features: Tensor) -> Tensor:
        return await _score("cuml", {"input__0": features}, "output__0")


async def _score(model: str, tensors: Mapping[str, Tensor], output: str) -> Tensor:
    inputs = [pb_utils.Tensor.from_dlpack(name, tensor) for name, tensor in tensors.items()]
    # Blended on the host, so wanted there: four bytes a row.
    on_host = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)
    return (await _infer(model, inputs, [output], preferred_memory=on_host))[output]


async def _infer(model: str, inputs: list[Tensor], outputs: list[str], **where: object) -> Mapping[str, Tensor]:
    request = pb_utils.InferenceRequest(model_name=model, requested_output_names=outputs, inputs=inputs, **where)
    try:
        response = await request.async_exec()
    except pb_utils.TritonModelException as error:
        raise StageError(model, str(error)) from error
    if response.has_error():
        raise StageError(model, response.error().message())
    return {tensor.name(): tensor for tensor in response.output_tensors()}
