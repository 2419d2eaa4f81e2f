"""Names, types and shapes of every served model, read from the live server; each model against its stage."""

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.grpc
from transformers import AutoTokenizer

from readability_triton.cli.samples import sample_passages
from readability_triton.serving.server import TritonServer
from readability_triton.stages import features
from readability_triton.stages.blend import blend
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.base_encoder import _packaged_folder

CONTRACT = {
    "preprocess": (
        {"INPUT0": ("STRING", [1])},
        {"BERT_IDS": ("INT64", [-1]), "BERT_AM": ("INT64", [-1]), "TREE_FEATS": ("FP32", [207])},
    ),
    "bert-large": ({"INPUT__0": ("INT64", [-1]), "INPUT__1": ("INT64", [-1])}, {"OUTPUT__0": ("FP32", [1])}),
    "cuml": ({"input__0": ("FP32", [207])}, {"output__0": ("FP32", [1])}),
    "postprocess": (
        {name: ("FP32", [1]) for name in ("BERT_WEIGHT_INPUT", "BERT_LARGE_SCORE", "CUML_SCORE")},
        {"OUTPUT0": ("FP32", [1])},
    ),
    "ensemble_all": ({"excerpt": ("STRING", [1]), "BERT_WEIGHT": ("FP32", [1])}, {"SCORE": ("FP32", [1])}),
    "bls_pipeline": (
        {"excerpt": ("STRING", [1]), "BERT_WEIGHT": ("FP32", [1])},
        {
            **{name: ("FP32", [1]) for name in ("SCORE", "BERT_SCORE", "CUML_SCORE")},
            "ROUTE": ("STRING", [1]),
            "DEGRADED": ("BOOL", [1]),
            "FLAGS": ("STRING", [1]),
            "SPANS": ("STRING", [1]),
        },
    ),
}
PASSAGES = list(sample_passages().values())


def config(server: TritonServer, model: str) -> dict:
    with urllib.request.urlopen(f"{server.http_url}/v2/models/{model}/config") as response:
        return json.load(response)


def infer(server: TritonServer, model: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    inputs = []
    for name, array in tensors.items():
        datatype = {"object": "BYTES", "int64": "INT64", "float32": "FP32"}[str(array.dtype)]
        inputs.append(tritonclient.grpc.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array)
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.partition("://")[2]) as client:
        answer = client.infer(model, inputs)
    return {tensor["name"]: answer.as_numpy(tensor["name"]) for tensor in config(server, model)["output"]}


@pytest.mark.parametrize("model", CONTRACT)
def test_tensors_are_those_of_the_contract(server: TritonServer, model: str) -> None:
    live = config(server, model)
    inputs, outputs = CONTRACT[model]
    for side, expected in (("input", inputs), ("output", outputs)):
        tensors = {t["name"]: (t["data_type"].removeprefix("TYPE_"), list(map(int, t["dims"]))) for t in live[side]}
        assert tensors == expected
    assert live["max_batch_size"] == 512


def test_the_slots_name_their_native_backends(server: TritonServer) -> None:
    assert config(server, "bert-large")["backend"] == "pytorch"
    assert config(server, "cuml")["backend"] == "fil"
    assert config(server, "ensemble_all")["platform"] == "ensemble"


def test_the_configuration_names_which_encoder_it_holds(server: TritonServer) -> None:
    parameters = config(server, "bert-large")["parameters"]
    assert "MiniLM" in parameters["encoder"]["string_value"]
    assert len(parameters["encoder_sha256"]["string_value"]) == 64


def test_preprocess_gives_the_hugging_face_tokenizers_ids(server: TritonServer) -> None:
    odd = [
        "Naïve café ﬁn",
        "漢字かな交じり文",
        "🙂🙃 emoji",
        "a\x00b\x07c\u200bd",
        "x" * 150,
        "tab\tnew\nline",
        "word " * 700,
    ]
    served = infer(server, "preprocess", {"INPUT0": as_strings(PASSAGES + odd)})
    tokenizer = AutoTokenizer.from_pretrained(_packaged_folder())
    reference = tokenizer(PASSAGES + odd, truncation=True, max_length=512)
    for ids, mask, expected in zip(served["BERT_IDS"], served["BERT_AM"], reference["input_ids"], strict=True):
        assert ids[mask == 1].tolist() == expected
        assert not ids[mask == 0].any()


def test_preprocess_gives_the_features(server: TritonServer, truth: InProcessPipeline) -> None:
    served = infer(server, "preprocess", {"INPUT0": as_strings(PASSAGES)})["TREE_FEATS"]
    np.testing.assert_array_equal(served, features.extract(PASSAGES, truth.spec))


def test_the_scorers_give_what_their_stages_give(server: TritonServer, truth: InProcessPipeline) -> None:
    prepared = infer(server, "preprocess", {"INPUT0": as_strings(PASSAGES)})
    bert = infer(server, "bert-large", {"INPUT__0": prepared["BERT_IDS"], "INPUT__1": prepared["BERT_AM"]})
    cuml = infer(server, "cuml", {"input__0": prepared["TREE_FEATS"]})
    np.testing.assert_allclose(bert["OUTPUT__0"], truth.bert(PASSAGES), atol=1e-5)
    np.testing.assert_allclose(cuml["output__0"], truth.cuml(PASSAGES), atol=1e-6)


def test_postprocess_blends(server: TritonServer) -> None:
    rng = np.random.default_rng(0)
    weights, bert, cuml = rng.random((3, 9, 1), dtype=np.float32)
    tensors = {"BERT_WEIGHT_INPUT": weights, "BERT_LARGE_SCORE": bert, "CUML_SCORE": cuml}
    np.testing.assert_array_equal(infer(server, "postprocess", tensors)["OUTPUT0"], blend(weights, bert, cuml))


def test_models_cannot_be_loaded_or_unloaded(server: TritonServer) -> None:
    with (
        tritonclient.grpc.InferenceServerClient(server.grpc_url.partition("://")[2]) as client,
        pytest.raises(tritonclient.grpc.InferenceServerException, match="restricted"),
    ):
        client.unload_model("cuml")


def as_strings(texts: list[str]) -> np.ndarray:
    return np.array([[text.encode()] for text in texts], dtype=object)
