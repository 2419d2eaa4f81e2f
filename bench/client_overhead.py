"""What `Scorer` adds to plain `tritonclient`, in pairs, at one request in flight.

    python -m readability_triton.bench.client_overhead grpc://localhost:8001 http://localhost:8000

Each pair is the same text by both, one after the other, in an order that changes; the difference of a pair is what the
client adds, or saves. Shown are medians, in milliseconds, and a 95 % interval of the median difference by resampling.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import tritonclient.grpc
import tritonclient.http

from readability_triton.client.protocol import Address
from readability_triton.client.scorer import Scorer

PAIRS = 400
WARM_UP = 20
TEXT = "The cat sat on the mat, and nobody told it to go."
MODEL = "bls_pipeline"


def plain(address: Address) -> Callable[[], object]:
    """A call of plain `tritonclient` for the score of one text."""
    library = tritonclient.grpc if address.is_grpc else tritonclient.http
    client = library.InferenceServerClient(address.location)

    def call() -> object:
        excerpt = library.InferInput("excerpt", [1, 1], "BYTES")
        excerpt.set_data_from_numpy(np.array([[TEXT.encode()]], dtype=object))
        weight = library.InferInput("BERT_WEIGHT", [1, 1], "FP32")
        weight.set_data_from_numpy(np.ones((1, 1), np.float32))
        wanted = [library.InferRequestedOutput(name) for name in ("SCORE", "ROUTE", "DEGRADED")]
        return client.infer(MODEL, [excerpt, weight], outputs=wanted).as_numpy("SCORE")

    return call


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(url: str, n_pairs: int = PAIRS) -> tuple[float, float, float, float, float]:
    """Medians of plain client, scorer and their difference, and the ends of its interval, in seconds."""
    baseline = plain(Address.parse(url))
    with Scorer(MODEL, None, url) as scorer:

        def ours() -> object:
            return scorer.score([TEXT], 1.0)

        for _ in range(WARM_UP):
            baseline(), ours()
        pairs = np.empty((n_pairs, 2))
        for row in range(n_pairs):
            for at in (0, 1) if row % 2 else (1, 0):
                pairs[row, at] = seconds((baseline, ours)[at])
    differences = pairs[:, 1] - pairs[:, 0]
    random = np.random.default_rng(0)
    resampled = np.median(random.choice(differences, (2000, n_pairs)), axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return (*np.median(pairs, axis=0), float(np.median(differences)), float(low), float(high))


if __name__ == "__main__":
    for each in sys.argv[1:]:
        plain_s, ours_s, added, low, high = (1000 * value for value in measure(each))
        print(
            f"{each}: tritonclient {plain_s:.2f} ms, Scorer {ours_s:.2f} ms, adds {added:.2f} ({low:.2f} to {high:.2f})"
        )
