"""Glue: INPUT0 to BERT_IDS, BERT_AM and TREE_FEATS by way of `stages`."""

from pathlib import Path

import triton_python_backend_utils as pb_utils

from stages import excerpts, features, tokens
from stages.errors import InvalidRowError


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        self.tokenizer = tokens.load_tokenizer(folder / "tokenizer.json")
        self.spec = features.FeatureSpec.load(folder / "features.json")

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        rows = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().ravel()
        try:
            texts = excerpts.decode(rows)
        except InvalidRowError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        ids, mask = tokens.tokenize(texts, self.tokenizer)
        outputs = {"BERT_IDS": ids, "BERT_AM": mask, "TREE_FEATS": features.extract(texts, self.spec)}
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in outputs.items()])
