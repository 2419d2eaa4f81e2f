"""What orchestration adds: each pipeline against its critical path in this process, same texts, one run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from readability_triton.bench import timing
from readability_triton.bench.timing import Call, Samples
from readability_triton.client.scorer import Scorer
from readability_triton.stages.blend import blend
from readability_triton.stages.excerpts import decode
from readability_triton.stages.features import extract
from readability_triton.stages.pipeline import InProcessPipeline

IN_PROCESS, ENSEMBLE, BLS = "in process", "ensemble_all", "bls_pipeline"
CONCURRENCY = 8
REPEATS_IN_BLOCK = 4
WARM_UP_ROUNDS = 3

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Measured(NamedTuple):
    """Samples by arm: with one request in flight, and with `CONCURRENCY`."""

    single: Mapping[str, Samples]
    concurrent: Mapping[str, Samples]


def measure(
    stages: InProcessPipeline, scorers: Mapping[str, Scorer], texts: Sequence[str], rounds: int, progress: Progress
) -> Measured:
    """Time the critical path and every scorer, one text a request, after a warm-up."""
    arms: dict[str, Call] = {IN_PROCESS: critical_path(stages)}
    arms |= {name: _request(scorer) for name, scorer in scorers.items()}
    for call in arms.values():
        for text in list(texts) * WARM_UP_ROUNDS:
            call(text)
    with progress("concurrency 1", rounds * len(texts) * len(arms)) as on_progress:
        single = timing.run_in_turn(arms, texts, rounds, on_progress)
    arms[IN_PROCESS] = timing.one_at_a_time(arms[IN_PROCESS])
    block = list(texts) * REPEATS_IN_BLOCK
    with progress(f"concurrency {CONCURRENCY}", rounds * len(block) * len(arms)) as on_progress:
        return Measured(single, timing.run_in_blocks(arms, block, rounds, CONCURRENCY, on_progress))


def critical_path(stages: InProcessPipeline) -> Call:
    """Tokens and features, encoder, blend. The forest runs beside the encoder and is not on the path."""
    weights, cuml = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)

    def call(text: str) -> None:
        excerpts = decode([text.encode()])
        extract(excerpts, stages.spec)
        blend(weights, stages.bert(excerpts), cuml)

    return call


def _request(scorer: Scorer) -> Call:
    def call(text: str) -> None:
        scorer.score([text])

    return call
