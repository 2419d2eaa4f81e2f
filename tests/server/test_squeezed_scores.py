"""A forest whose answers come without their dimension of 1, as Triton's FIL backend gives them: right, or an error."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc

from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import InferenceError, ReadabilityError
from readability_triton.client.scorer import Scorer
from readability_triton.faults.copies import rename_copy, set_parameter
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = list(sample_passages().values())[:3]
WEIGHTS = np.array([0.0, 0.5, 1.0], np.float32)
RESHAPE = " reshape: { shape: [ 1 ] }"


@pytest.fixture(scope="module")
def squeezed(modules_repository: Path) -> Iterator[TritonServer]:
    """`cuml` without `reshape` in its configuration; `bls_called` folds no stage."""
    rename_copy(modules_repository, "bls_pipeline", "bls_called")
    set_parameter(modules_repository, "bls_called", "fold", "none")
    config = modules_repository / "cuml" / "config.pbtxt"
    assert RESHAPE in config.read_text()
    config.write_text(config.read_text().replace(RESHAPE, ""))
    with running(Options(modules_repository)) as server:
        yield server


def score(server: TritonServer, model: str, **parameters: str) -> np.ndarray:
    with Scorer(model, None, server.grpc_url, parameters=parameters) as scorer:
        return scorer.score(TEXTS, WEIGHTS).values


def forest_shape(server: TritonServer) -> tuple[int, ...]:
    features = tritonclient.grpc.InferInput("input__0", [3, 207], "FP32")
    features.set_data_from_numpy(np.zeros((3, 207), np.float32))
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.partition("://")[2]) as client:
        return client.infer("cuml", [features]).as_numpy("output__0").shape


def test_reshape_in_the_configuration_makes_a_column(server: TritonServer) -> None:
    assert forest_shape(server) == (3, 1)


def test_without_reshape_the_forest_is_squeezed(squeezed: TritonServer) -> None:
    assert forest_shape(squeezed) == (3,)


def test_without_reshape_the_ensemble_names_what_it_got(squeezed: TritonServer) -> None:
    with pytest.raises(
        ReadabilityError, match=r"unexpected shape for input 'CUML_SCORE'.*Expected \[-1,1\], got \[3\]"
    ):
        score(squeezed, "ensemble_all")


@pytest.mark.parametrize("policy", ["parallel", "guard", "graph"])
def test_without_reshape_bls_names_what_it_got_and_never_broadcasts(squeezed: TritonServer, policy: str) -> None:
    with pytest.raises(InferenceError, match=r"cuml: output output__0 is float32 \[3\]; expected float32 \[3, 1\]"):
        score(squeezed, "bls_called", policy=policy)


def test_a_folded_forest_does_not_depend_on_it(squeezed: TritonServer, truth: InProcessPipeline) -> None:
    expected = truth.score(TEXTS, WEIGHTS[:, None])[:, 0]
    np.testing.assert_allclose(score(squeezed, "bls_pipeline"), expected, atol=1e-5)
