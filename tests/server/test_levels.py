"""Of two versions of one article, the one written for learners scores as the easier one."""

import json
from pathlib import Path

from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer

PAIRS = json.loads((Path(__file__).parents[1] / "data" / "levels.json").read_text(encoding="utf-8"))


def test_the_easier_version_of_an_article_scores_easier(server: TritonServer) -> None:
    with Scorer("ensemble_all", None, server.grpc_url) as scorer:
        easier = scorer.score([pair["easier"] for pair in PAIRS]).values
        harder = scorer.score([pair["harder"] for pair in PAIRS]).values
    wrong = [pair["topic"] for pair, gap in zip(PAIRS, easier - harder, strict=True) if gap <= 0]
    assert len(wrong) <= 0.02 * len(PAIRS), f"of {len(PAIRS)} pairs, these are the wrong way round: {wrong}"
