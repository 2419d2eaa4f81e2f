"""A twin of the project's ensemble, and of little ones that are nothing like it, against the ensembles themselves."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from click.testing import CliRunner
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from readability_triton.cli.main import main
from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.scorer import Scorer
from readability_triton.explain.one_request import OWN_SPANS, explain_one
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, TritonServer, running

TEXTS = list(sample_passages().values())
OF_THE_PROJECT = ("preprocess", "bert-large", "cuml", "postprocess", "ensemble_all")

MEASURE = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()) for request in requests]

    def answer(self, texts):
        for row, text in enumerate(texts.ravel()):
            if not text:
                error = pb_utils.TritonError(f"row {row}: text is empty", pb_utils.TritonError.INVALID_ARG)
                return pb_utils.InferenceResponse(error=error)
            if text == b"POISON":
                return pb_utils.InferenceResponse(error=pb_utils.TritonError("feels unwell"))
        lengths = np.array([len(text) for text in texts.ravel()], np.float32).reshape(texts.shape)
        upper = np.array([text.upper() for text in texts.ravel()], dtype=object).reshape(texts.shape)
        return pb_utils.InferenceResponse([pb_utils.Tensor("LENGTH", lengths), pb_utils.Tensor("UPPER", upper)])
"""
SCALE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        values = pb_utils.get_input_tensor_by_name(request, "VALUE").as_numpy()
        factor = pb_utils.get_input_tensor_by_name(request, "FACTOR")
        scaled = values * (10 if factor is None else factor.as_numpy())
        return pb_utils.InferenceResponse([pb_utils.Tensor("SCALED", scaled)])
"""
MEASURE_CONFIG = """
backend: "python" max_batch_size: {batch} instance_group {{ kind: KIND_CPU }}
input {{ name: "TEXT" data_type: TYPE_STRING dims: [ {length} ] }}
output {{ name: "LENGTH" data_type: TYPE_FP32 dims: [ {length} ] }}
output {{ name: "UPPER" data_type: TYPE_STRING dims: [ {length} ] }}
"""
SCALE_CONFIG = """
backend: "python" max_batch_size: {batch} instance_group {{ kind: KIND_CPU }}
input {{ name: "VALUE" data_type: TYPE_FP32 dims: [ {length} ] }}
input {{ name: "FACTOR" data_type: TYPE_FP32 dims: [ 1 ] optional: true }}
output {{ name: "SCALED" data_type: TYPE_FP32 dims: [ {length} ] }}
"""
ENSEMBLE_CONFIG = """
platform: "ensemble" max_batch_size: {batch}
input {{ name: "text" data_type: TYPE_STRING dims: [ {length} ] }}
input {{ name: "factor" data_type: TYPE_FP32 dims: [ 1 ] optional: true }}
output {{ name: "scaled" data_type: TYPE_FP32 dims: [ {length} ] }}
output {{ name: "shouted" data_type: TYPE_STRING dims: [ {length} ] }}
output {{ name: "length_shouted" data_type: TYPE_FP32 dims: [ {length} ] }}
ensemble_scheduling {{
  step {{
    model_name: "measure_{name}" model_version: -1
    input_map {{ key: "TEXT" value: "text" }}
    output_map {{ key: "LENGTH" value: "length" }} output_map {{ key: "UPPER" value: "shouted" }}
  }}
  step {{
    model_name: "scale_{name}" model_version: -1
    input_map {{ key: "VALUE" value: "length" }} input_map {{ key: "FACTOR" value: "factor" }}
    output_map {{ key: "SCALED" value: "scaled" }}
  }}
  step {{
    model_name: "measure_{name}" model_version: -1
    input_map {{ key: "TEXT" value: "shouted" }} output_map {{ key: "LENGTH" value: "length_shouted" }}
  }}
}}
"""
LITTLE = {"rows": {"batch": 8, "length": 1}, "whole": {"batch": 0, "length": -1}}
OUTPUTS = ("scaled", "shouted", "length_shouted")
UNCONDITIONAL = "        return await stages.call(model, inputs, outputs)\n"
CONDITION = """\
        if model == "scale_rows" and "FACTOR" not in inputs:
            return {"SCALED": inputs["VALUE"]}
"""


def add_little_ensemble(repository: Path, name: str) -> None:
    sizes = LITTLE[name]
    for model, config, code in ((f"measure_{name}", MEASURE_CONFIG, MEASURE), (f"scale_{name}", SCALE_CONFIG, SCALE)):
        (repository / model / "1").mkdir(parents=True)
        (repository / model / "config.pbtxt").write_text(config.format(**sizes))
        (repository / model / "1" / "model.py").write_text(code)
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(ENSEMBLE_CONFIG.format(name=name, **sizes))


def make_twin(repository: Path, ensemble: str, name: str) -> Path:
    result = CliRunner().invoke(main, ["twin", ensemble, "--name", name, "--model-repository", str(repository)])
    assert result.exit_code == 0, result.stderr
    return repository / name


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Three ensembles, each with its twin, and one twin with a condition."""
    repository = tmp_path_factory.mktemp("twins")
    for name in OF_THE_PROJECT:
        (repository / name).symlink_to(default_repository() / name)
    for name in LITTLE:
        add_little_ensemble(repository, name)
    for name in ("ensemble_all", *LITTLE):
        make_twin(repository, name, f"{name}_bls")
    conditional = make_twin(repository, "rows", "rows_conditional") / "1" / "model.py"
    code = conditional.read_text()
    assert UNCONDITIONAL in code
    conditional.write_text(code.replace(UNCONDITIONAL, CONDITION + UNCONDITIONAL))
    patient = make_twin(repository, "rows", "rows_patient") / "config.pbtxt"
    waits = "dynamic_batching { preferred_batch_size: [4] max_queue_delay_microseconds: 5000000 }"
    patient.write_text(patient.read_text().replace("dynamic_batching { }", waits))
    with running(Options(repository)) as server:
        yield server


@pytest.fixture
def score(twins: TritonServer) -> Callable[[str, Sequence[str | bytes]], NDArray[Any]]:
    def ask(model: str, texts: Sequence[str | bytes]) -> NDArray[Any]:
        with Scorer(model, None, twins.grpc_url) as scorer:
            return np.asarray(scorer.score(texts, [0.3] * len(texts)).values)

    return ask


@pytest.mark.parametrize("n_texts", [1, 2, 10, 33])
def test_the_twin_gives_the_ensembles_scores(score, n_texts: int) -> None:
    texts = (TEXTS * 4)[:n_texts]
    np.testing.assert_allclose(score("ensemble_all_bls", texts), score("ensemble_all", texts), rtol=0, atol=1e-5)


def test_requests_at_the_same_time_each_get_their_own_scores(score) -> None:
    requests = [TEXTS[start : start + n_texts] for n_texts in (1, 2, 3) for start in range(8)]
    expected = [score("ensemble_all", texts) for texts in requests]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda texts: score("ensemble_all_bls", texts), requests))
    for answer, truth in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, truth, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bad", [b"", b" \n", b"caf\xe9 \xff"])
def test_a_bad_row_gets_the_ensembles_error_and_harms_no_neighbour(score, bad: bytes) -> None:
    def ask(texts: Sequence[str | bytes], model: str = "ensemble_all_bls") -> NDArray[Any] | InvalidRequestError:
        try:
            return score(model, texts)
        except InvalidRequestError as error:
            return error

    spoilt: list[str | bytes] = [TEXTS[0], TEXTS[1], bad]
    refusal, scores = ask(spoilt, "ensemble_all"), score("ensemble_all", TEXTS[:2])
    assert isinstance(refusal, InvalidRequestError)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [TEXTS[:2], spoilt] * 8))
    for good, other in zip(answers[::2], answers[1::2], strict=True):
        np.testing.assert_allclose(good, scores, rtol=0, atol=1e-5)
        assert isinstance(other, InvalidRequestError)
        assert (other.row, other.reason) == (refusal.row, refusal.reason) == (2, refusal.reason)


def test_a_bad_weight_gets_the_ensembles_error(twins: TritonServer) -> None:
    for model in ("ensemble_all", "ensemble_all_bls"):
        with (
            Scorer(model, None, twins.grpc_url) as scorer,
            pytest.raises(InvalidRequestError, match=r"blend weight 2.0 is not in \[0, 1\]") as caught,
        ):
            scorer.score(TEXTS[:2], [0.5, 2.0])
        assert caught.value.row == 1


@pytest.fixture
def infer(twins: TritonServer) -> Callable[..., dict[str, NDArray[Any] | None]]:
    """Ask a little ensemble or a twin of it."""

    def ask(
        model: str, texts: Sequence[bytes], factor: float | None = None, outputs: Sequence[str] = OUTPUTS
    ) -> dict[str, NDArray[Any] | None]:
        rows = model.startswith("rows")
        tensors = {"text": np.array([[text] for text in texts] if rows else list(texts), dtype=object)}
        if factor is not None:
            tensors["factor"] = np.full((len(texts), 1) if rows else (1,), factor, dtype=np.float32)
        inputs = []
        for name, array in tensors.items():
            inputs.append(
                tritonclient.grpc.InferInput(name, list(array.shape), "FP32" if name == "factor" else "BYTES")
            )
            inputs[-1].set_data_from_numpy(array)
        wanted = [tritonclient.grpc.InferRequestedOutput(name) for name in outputs]
        with tritonclient.grpc.InferenceServerClient(twins.grpc_url.partition("://")[2]) as client:
            answer = client.infer(model, inputs, outputs=wanted)
        return {name: answer.as_numpy(name) for name in OUTPUTS}

    return ask


def as_lists(tensors: dict[str, NDArray[Any] | None]) -> dict[str, Any]:
    return {name: None if array is None else array.tolist() for name, array in tensors.items()}


little = pytest.mark.parametrize("name", LITTLE)


@little
@pytest.mark.parametrize("factor", [None, 0.5])
@pytest.mark.parametrize("texts", [[b"hen"], [b"a", b"hen", b"wood"]], ids=["one", "three"])
def test_a_little_ensemble_and_its_twin_give_the_same(infer, name: str, factor: float | None, texts) -> None:
    given = as_lists(infer(f"{name}_bls", texts, factor))
    assert given == as_lists(infer(name, texts, factor))
    assert np.ravel(given["scaled"]).tolist() == [len(text) * (10 if factor is None else factor) for text in texts]


@little
@pytest.mark.parametrize("outputs", [["scaled"], ["shouted"], ["length_shouted", "scaled"]], ids=str)
def test_a_twin_gives_the_outputs_that_are_asked_for(infer, name: str, outputs: list[str]) -> None:
    # All outputs are requested of the ensemble: for `scaled` only, Triton 24.10's scheduler leaves out too many steps.
    everything = as_lists(infer(name, [b"hen"]))
    given = as_lists(infer(f"{name}_bls", [b"hen"], outputs=outputs))
    assert given == {output: everything[output] if output in outputs else None for output in OUTPUTS}


@little
def test_a_step_that_no_wanted_output_needs_is_not_called(twins: TritonServer, infer, name: str) -> None:
    before = n_requests(twins, f"scale_{name}")
    infer(f"{name}_bls", [b"hen"], outputs=["shouted"])
    assert n_requests(twins, f"scale_{name}") == before


@little
def test_a_row_that_a_step_refuses_is_the_clients_fault_in_both(infer, name: str) -> None:
    for model in (name, f"{name}_bls"):
        with pytest.raises(InferenceServerException, match="row 1: text is empty") as caught:
            infer(model, [b"hen", b""])
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


@little
def test_what_else_a_step_says_is_passed_on(infer, name: str) -> None:
    for model in (name, f"{name}_bls"):
        with pytest.raises(InferenceServerException, match="feels unwell") as caught:
            infer(model, [b"POISON"])
        assert caught.value.status() == "StatusCode.INTERNAL"


def n_requests(server: TritonServer, model: str) -> int:
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.partition("://")[2]) as client:
        stats = client.get_inference_statistics(model).model_stats[0].inference_stats
    return stats.success.count + stats.fail.count


def test_a_batch_takes_one_call_a_step(twins: TritonServer, infer) -> None:
    before = n_requests(twins, "scale_rows")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: infer("rows_patient", [text]), [b"a", b"hen", b"wood", b"a road"]))
    assert [answer["scaled"].tolist() for answer in answers] == [[[10.0]], [[30.0]], [[40.0]], [[60.0]]]
    assert n_requests(twins, "scale_rows") == before + 1


def test_in_a_batch_only_the_bad_request_fails(infer) -> None:
    def ask(text: bytes) -> Any:
        try:
            return infer("rows_patient", [text])["scaled"].tolist()
        except InferenceServerException as error:
            return error.status(), error.message()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, [b"a", b"", b"wood", b"POISON"]))
    assert answers[::2] == [[[10.0]], [[40.0]]]
    assert answers[1::2] == [
        ("StatusCode.INVALID_ARGUMENT", "measure_rows: row 0: text is empty"),
        ("StatusCode.INTERNAL", "measure_rows: feels unwell"),
    ]


def test_a_condition_in_the_place_for_them_takes_the_place_of_a_call(twins: TritonServer, infer) -> None:
    before = n_requests(twins, "scale_rows")
    without = infer("rows_conditional", [b"hen"])
    assert n_requests(twins, "scale_rows") == before
    assert as_lists(without) == as_lists(infer("rows", [b"hen"], 1.0))
    assert as_lists(infer("rows_conditional", [b"hen"], 0.5)) == as_lists(infer("rows", [b"hen"], 0.5))


@little
def test_a_twin_says_where_the_time_of_a_request_went(twins: TritonServer, name: str) -> None:
    text = np.array([b"hen"], dtype=object)
    explained = explain_one(twins.grpc_url, f"{name}_bls", {"text": text[:, None] if name == "rows" else text})
    assert explained.waterfall.source == OWN_SPANS
    calls = [span.name for span in explained.waterfall.spans if span.kind == "call"]
    assert sorted(calls) == [f"measure_{name}", f"measure_{name}", f"scale_{name}"]
    assert sorted(explained.outputs) == sorted(OUTPUTS)
