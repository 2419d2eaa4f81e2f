"""A minute of sixteen threads and sixty-four forked workers with one scorer, over gRPC and over HTTP.

    python -m readability_triton.bench.sharing

Starts a server, computes what it must answer in process, and prints how many answers are right. Exit code 1 if one is
not, or if somebody hangs.
"""

import argparse
import json
import subprocess
import sys

import numpy as np

from readability_triton.bench.made_up import sentence
from readability_triton.bench.shared_scorer import WEIGHT
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, running
from readability_triton.stages.pipeline import InProcessPipeline

N_TEXTS = 50


def expected_scores() -> dict[str, float]:
    """Texts of 3 to 20 words, and what the server must answer."""
    random = np.random.default_rng(0)
    texts = [f"{number}: {sentence(random, 3 + number % 18)}" for number in range(N_TEXTS)]
    weights = np.full((N_TEXTS, 1), WEIGHT, np.float32)
    return dict(zip(texts, InProcessPipeline(default_repository()).score(texts, weights)[:, 0].tolist(), strict=True))


def main() -> None:
    """Ask by each transport in turn, in a process of its own: gRPC must not have been used before the fork."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    given = json.dumps(expected_scores())
    failed = False
    with running(Options()) as server:
        for url in (server.grpc_url, server.http_url):
            command = [sys.executable, "-m", "readability_triton.bench.shared_scorer", url, "--seconds", str(seconds)]
            result = subprocess.run(
                command, input=given, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 300
            )
            found = json.loads(result.stdout)
            print(f"{url.partition(':')[0]}: {found}", flush=True)
            kinds = {*found["threads"], *found["workers"]}
            failed |= kinds != {"right"} or found["silent workers"] > 0
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
