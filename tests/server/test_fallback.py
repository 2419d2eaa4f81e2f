"""If the first pipeline is missing, the second answers, once, and the scores name it."""

import shutil
from pathlib import Path

import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import ModelUnavailableError, ServerUnreachableError
from readability_triton.client.scorer import Scorer
from readability_triton.serving.ports import free_ports
from readability_triton.serving.server import Options, running


def test_the_ensemble_answers_where_bls_is_not_served(own_repository: Path) -> None:
    shutil.rmtree(own_repository / "bls_pipeline")
    with running(Options(own_repository)) as server:
        for url in (server.grpc_url, server.http_url):
            with Scorer("bls_pipeline", "ensemble_all", url) as scorer:
                scores = scorer.score(list(sample_passages().values()))
            assert set(scores.answered_by) == {"ensemble_all"}
            with (
                Scorer("bls_pipeline", None, url) as scorer,
                pytest.raises(ModelUnavailableError, match="bls_pipeline"),
            ):
                scorer.score(["A cat sat."], 0.5)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_no_server_is_said_to_be_none(scheme: str) -> None:
    with Scorer(url=f"{scheme}://127.0.0.1:{free_ports(1)[0]}") as scorer, pytest.raises(ServerUnreachableError):
        scorer.score(["A cat sat."], 0.5)
