"""The repositories of `deploy/kserve`: one name, behind which is one pipeline or the other."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from readability_triton.client.scorer import Scorer
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, running
from readability_triton.stages.pipeline import InProcessPipeline

SCRIPT = Path(__file__).parents[2] / "deploy" / "kserve" / "repositories.sh"


def test_both_revisions_answer_to_one_name_with_equal_scores(tmp_path: Path, made_up_text: Callable[..., str]) -> None:
    subprocess.run([SCRIPT, tmp_path], check=True)
    texts = [made_up_text(5 + number, seed=number) for number in range(4)]
    truth = InProcessPipeline(default_repository()).score(texts, np.full((4, 1), 0.5, dtype=np.float32))[:, 0]
    for pipeline in ("ensemble_all", "bls_pipeline"):
        with running(Options(tmp_path / pipeline)) as server, Scorer("readability", None, server.grpc_url) as scorer:
            assert scorer.score(texts, 0.5).values.tolist() == pytest.approx(truth.tolist(), abs=1e-5)
