"""One scorer, shared by threads and by workers forked beside them, for a while: how many answers are right?

    python -m readability_triton.bench.shared_scorer http://localhost:8000 < expected.json

Reads an object of texts with their scores at `WEIGHT`, and prints one with the numbers of answers. Over HTTP workers
are forked from threads that wait for answers, and go on with the scorer of their parent. Over gRPC they are forked
before the first request, which is what gRPC allows.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.scorer import Scorer

WEIGHT = 0.5
TOLERANCE = 1e-5
PATIENCE_S = 60.0
"""After the end, until who has not answered counts as hanging."""

FORK = multiprocessing.get_context("fork")


def ask_until(scorer: Scorer, expected: Mapping[str, float], first: int, end: float) -> Counter[str]:
    """Ask for one text after the other, at least once, until the monotonic clock says `end`; answers by their kind."""
    texts, counts, number = list(expected), Counter[str](), first
    while not counts or time.monotonic() < end:
        text = texts[number % len(texts)]
        number += 1
        try:
            score = float(scorer.score([text], WEIGHT).values[0])
        except ReadabilityError as error:
            counts[f"{type(error).__name__}: {error}"] += 1
            continue
        counts["right" if abs(score - expected[text]) <= TOLERANCE else "wrong"] += 1
    return counts


def share(url: str, expected: Mapping[str, float], seconds: float, n_threads: int, n_workers: int) -> dict[str, object]:
    """Let threads and forked workers ask with one scorer; their answers, and how many of them hang."""
    scorer, results = Scorer(url=url), FORK.SimpleQueue()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        results.put(ask_until(scorer, expected, number, end))

    workers = [FORK.Process(target=work, args=(number,), daemon=True) for number in range(n_workers)]
    pool = ThreadPoolExecutor(n_threads)
    asking: list[Future[Counter[str]]] = []

    def start_threads() -> None:
        asking.extend(pool.submit(ask_until, scorer, expected, number, end) for number in range(n_threads))

    if url.startswith("http"):
        start_threads()
    for worker in workers:
        worker.start()
    if not asking:
        start_threads()
    by_workers, answered = _collect(results, workers, end + PATIENCE_S)
    by_threads: Counter[str] = sum((each.result(PATIENCE_S) for each in asking), Counter())
    return {"threads": by_threads, "workers": by_workers, "silent workers": n_workers - answered}


def _collect(
    results: "multiprocessing.SimpleQueue[Counter[str]]", workers: list[multiprocessing.context.ForkProcess], end: float
) -> tuple[Counter[str], int]:
    """The answers of all workers, and how many workers had some before the monotonic clock says `end`."""
    counts, answered = Counter[str](), 0
    while answered < len(workers) and time.monotonic() < end:
        if results.empty():
            time.sleep(0.01)
            continue
        counts += results.get()
        answered += 1
    for worker in workers:
        worker.join(max(end - time.monotonic(), 0))
    return counts, answered


def main() -> None:
    """Parse, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--workers", type=int, default=64)
    asked = parser.parse_args()
    print(json.dumps(share(asked.url, json.load(sys.stdin), asked.seconds, asked.threads, asked.workers)))


if __name__ == "__main__":
    main()
