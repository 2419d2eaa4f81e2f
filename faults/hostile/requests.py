"""Hostile requests, while well-behaved clients go on being served."""

import random
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

from readability_triton.faults.hostile.cases import CASES, Server
from readability_triton.faults.hostile.wire import Channel, Fate, Reply
from readability_triton.faults.load import Load
from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import PARALLEL
from readability_triton.faults.watch import after, errors_of
from readability_triton.serving.server import TritonServer

AT_ONCE = 4
MOST_MESSAGES = 3
MESSAGE_LENGTH = 120

Replies = dict[str, list[Reply]]


def _run(setting: Setting) -> Result:
    server = setting.server()
    with setting.load(server, PARALLEL) as load:
        at = time.monotonic()
        replies = send(server, setting.cases, setting.seed)
        result = after(setting, "hostile", load, server, at)
        result.broken.extend(_broken(server, load, replies))
    return result.noting(*_notes(replies))


def send(server: TritonServer, n_cases: int, seed: int) -> Replies:
    """So many hostile requests, and the replies to them by kind."""
    rng = random.Random(seed)
    cases, weights = zip(*CASES, strict=True)
    drawn = [(case, rng.randrange(1 << 32)) for case in rng.choices(cases, weights, k=n_cases)]
    to = Server(server.http_url, Channel(server.grpc_url))
    replies: Replies = defaultdict(list)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for (case, _), reply in zip(
            drawn, pool.map(lambda each: each[0](random.Random(each[1]), to), drawn), strict=True
        ):
            replies[case.__name__].append(reply)
    to.channel.close()
    return replies


def _broken(server: TritonServer, load: Load, replies: Replies) -> list[str]:
    broken = [line for flow in PARALLEL for line in errors_of(load.samples, flow)]
    broken += [f"{kind}: {_count(each, Fate.HUNG)} hung" for kind, each in replies.items() if _count(each, Fate.HUNG)]
    return broken + (["the server ended"] if server.process.poll() is not None else [])


def _notes(replies: Replies) -> list[str]:
    lines = []
    for kind, each in replies.items():
        fates = ", ".join(f"{count} {fate.value}" for fate in Fate if (count := _count(each, fate)))
        lines.append(f"{kind.replace('_', ' ')}: {len(each)} cases: {fates}")
        said = Counter(reply.message[:MESSAGE_LENGTH] for reply in each if reply.fate is Fate.SERVER_ERROR)
        lines += [f"{kind.replace('_', ' ')}: {count} × {words}" for words, count in said.most_common(MOST_MESSAGES)]
    return lines


def _count(replies: list[Reply], fate: Fate) -> int:
    return sum(reply.fate is fate for reply in replies)


FAULTS = (Fault("hostile", "malformed and oversized requests, drawn at random", _run),)
