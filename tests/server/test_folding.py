"""Stages computed in the orchestrator's process give the scores of stages that are called, to the last bit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc

from readability_triton.cli.samples import sample_passages
from readability_triton.faults.copies import rename_copy, set_parameter
from readability_triton.serving.server import Options, TritonServer, running

TEXTS = [*sample_passages().values(), "Rain.", "«Café» — naïve?! 3.14 …", "a " * 3000]
FOLDS = ("none", "preprocess", "preprocess,cuml", "preprocess,cuml,postprocess")
POLICIES = ({}, {"policy": "guard", "on_flag": "refuse"}, {"policy": "graph"})

Ask = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def folding(modules_repository: Path) -> Iterator[TritonServer]:
    """One pipeline for each of `FOLDS`, named bls_0, bls_1 …"""
    for number, fold in enumerate(FOLDS):
        rename_copy(modules_repository, "bls_pipeline", f"bls_{number}")
        set_parameter(modules_repository, f"bls_{number}", "fold", fold)
    with running(Options(modules_repository)) as server:
        yield server


def ask(server: TritonServer, model: str, texts: list[str], parameters: dict) -> dict[str, np.ndarray]:
    excerpt = tritonclient.grpc.InferInput("excerpt", [len(texts), 1], "BYTES")
    excerpt.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
    weight = tritonclient.grpc.InferInput("BERT_WEIGHT", [len(texts), 1], "FP32")
    weight.set_data_from_numpy(np.linspace(0, 1, len(texts), dtype=np.float32)[:, None])
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.partition("://")[2]) as client:
        answer = client.infer(model, [excerpt, weight], parameters=parameters or None)
    return {name: answer.as_numpy(name) for name in ("SCORE", "BERT_SCORE", "CUML_SCORE", "ROUTE")}


@pytest.mark.parametrize("parameters", POLICIES, ids=str)
@pytest.mark.parametrize("n_texts", [1, len(TEXTS)])
def test_scores_are_the_same_to_the_last_bit(folding: TritonServer, parameters: dict, n_texts: int) -> None:
    called, *folded = (ask(folding, f"bls_{number}", TEXTS[:n_texts], parameters) for number in range(len(FOLDS)))
    for other in folded:
        for name, array in called.items():
            np.testing.assert_array_equal(other[name], array)


def test_the_ensemble_gives_these_scores_too(folding: TritonServer) -> None:
    texts = TEXTS[:10]
    weights = np.linspace(0, 1, len(texts), dtype=np.float32)[:, None]
    excerpt = tritonclient.grpc.InferInput("excerpt", [len(texts), 1], "BYTES")
    excerpt.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
    weight = tritonclient.grpc.InferInput("BERT_WEIGHT", [len(texts), 1], "FP32")
    weight.set_data_from_numpy(weights)
    with tritonclient.grpc.InferenceServerClient(folding.grpc_url.partition("://")[2]) as client:
        ensemble = client.infer("ensemble_all", [excerpt, weight]).as_numpy("SCORE")
    np.testing.assert_array_equal(ask(folding, "bls_3", texts, {})["SCORE"], ensemble)
