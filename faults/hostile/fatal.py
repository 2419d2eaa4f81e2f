"""Single requests that Triton 24.10 is known to die of, each sent to its own server.

None reaches our code, which could refuse it. That a server dies of one is noted, and is no failure here; that honest
clients get anything but right answers and clear errors meanwhile is one.
"""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tritonclient.grpc import service_pb2

from readability_triton.faults.hostile.cases import body, packed
from readability_triton.faults.hostile.wire import Channel, Fate, Reply, post
from readability_triton.faults.load import Sample
from readability_triton.faults.orphans import end_orphans
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import BLS, PARALLEL
from readability_triton.faults.watch import wait_for
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.serving.stubs import find_stubs

NAME = "fatal-requests"
INFER = f"/v2/models/{BLS}/infer"
DEPTH = 1_000_000
CHUNKS = 600_000
DEATH_LIMIT_S = 3.0


@dataclass(frozen=True)
class Killer:
    """One such request.

    Attributes:
        about: what it is.
        send: sends it.
    """

    about: str
    send: Callable[[TritonServer], Reply]


def _classification_http(server: TritonServer) -> Reply:
    wanted = {"outputs": [{"name": "ROUTE", "parameters": {"classification": 3}}]}
    return post(server.http_url, INFER, json.dumps(body() | wanted).encode(), {})


def _classification_grpc(server: TritonServer) -> Reply:
    request = service_pb2.ModelInferRequest(model_name=BLS)
    for name, datatype in (("excerpt", "BYTES"), ("BERT_WEIGHT", "FP32")):
        request.inputs.add(name=name, datatype=datatype, shape=[1, 1])
    request.raw_input_contents.extend([packed(b"A hen."), bytes(4)])
    request.outputs.add(name="ROUTE").parameters["classification"].int64_param = 3
    channel = Channel(server.grpc_url)
    try:
        return channel.infer(request)
    finally:
        channel.close()


def _huge_shape(server: TritonServer) -> Reply:
    hostile = body()
    hostile["inputs"][1]["shape"] = [1 << 40, 1]
    return post(server.http_url, INFER, json.dumps(hostile).encode(), {})


def _deep_json(server: TritonServer) -> Reply:
    return post(server.http_url, INFER, b"[" * DEPTH, {})


def _many_chunks(server: TritonServer) -> Reply:
    chunked = b"1\r\n \r\n" * CHUNKS + b"0\r\n\r\n"
    return post(server.http_url, INFER, chunked, {"Transfer-Encoding": "chunked"})


KILLERS = (
    Killer("classification of a STRING output, by HTTP", _classification_http),
    Killer("classification of a STRING output, by gRPC", _classification_grpc),
    Killer("a tensor in JSON whose shape has 2^40 elements", _huge_shape),
    Killer(f"JSON {DEPTH:,} levels deep", _deep_json),
    Killer(f"a body in {CHUNKS:,} chunks", _many_chunks),
)


def _run(setting: Setting) -> Result:
    setting.discard()
    samples, notes, broken = list[Sample](), list[str](), list[str]()
    for killer in KILLERS:
        try:
            note = _try(setting, killer, samples)
        except TimeoutError as error:
            broken.append(f"{killer.about}: {error}")
        else:
            notes.append(f"{killer.about}: {note}")
    return account(NAME, samples, None, broken, notes)


def _try(setting: Setting, killer: Killer, samples: list[Sample]) -> str:
    """Send one to a new server, and say what became of it and its processes."""
    with running(Options(setting.repository)) as server:
        stubs = [stub.pid for stub in find_stubs(server.process.pid)]
        with setting.load(server, PARALLEL) as load:
            reply = killer.send(server)
            wait_for(lambda: server.process.poll() is not None, DEATH_LIMIT_S if reply.fate is Fate.DROPPED else 0.5)
            time.sleep(setting.seconds / 2)
        samples.extend(load.samples)
        if server.process.poll() is None:
            return f"{reply.fate.value}; the server lives"
    said = [f"the server died, {_signal_name(-server.process.returncode)}", end_orphans(stubs)]
    return "; ".join(filter(None, said))


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number > 0 else f"exit code {-number}"


FAULTS = (Fault(NAME, "requests that Triton 24.10 is known to die of, each to its own server", _run),)
