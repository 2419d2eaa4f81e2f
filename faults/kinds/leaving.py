"""Clients that leave before they have their answer."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping

from readability_triton.faults.load import make_client
from readability_triton.faults.metrics import pending_requests
from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting, target
from readability_triton.faults.traffic import FALLBACK, PARALLEL, Asked, draw
from readability_triton.faults.watch import after, wait_for

FLOWS = (*PARALLEL, FALLBACK)
N_LEAVING = 40
ROWS = 8
LONGEST_STAY_S = 0.2
DRAIN_LIMIT_S = 20.0


def _leave(setting: Setting) -> Result:
    server = setting.server()
    rng = random.Random(setting.seed)
    with setting.load(server) as load:
        at = time.monotonic()
        requests = [draw(rng, FLOWS[i % len(FLOWS)], len(setting.truth.texts), ROWS) for i in range(N_LEAVING)]
        stays = [rng.uniform(0, LONGEST_STAY_S) for _ in requests]
        load.submit(_all(setting, target(server, setting.truth).urls, zip(requests, stays, strict=True))).result()
        result = after(setting, "clients-leave", load, server, at)
    if not wait_for(lambda: not any(pending_requests(server.metrics_url).values()), DRAIN_LIMIT_S):
        result.broken.append(f"queues do not drain: {dict(pending_requests(server.metrics_url))}")
    return result


async def _all(setting: Setting, urls: Mapping[str, str], leaving: Iterable[tuple[Asked, float]]) -> None:
    await asyncio.gather(*(_one(setting, urls, asked, stay_s) for asked, stay_s in leaving))


async def _one(setting: Setting, urls: Mapping[str, str], asked: Asked, stay_s: float) -> None:
    """Cancelling the call cancels it in gRPC, and closes the connection in HTTP."""
    client = make_client(asked.flow, urls)
    texts, weights = [setting.truth.texts[row] for row in asked.rows], [float(weight) for weight in asked.weights]
    call = asyncio.ensure_future(client.score(texts, weights))
    await asyncio.wait([call], timeout=stay_s)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await client.close()


FAULTS = (
    Fault("clients-leave", f"{N_LEAVING} clients cancel or hang up within {LONGEST_STAY_S * 1000:.0f} ms", _leave),
)
