"""Hostile requests, drawn at random by kind."""

import json
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from readability_triton.faults.hostile.wire import Channel, Reply, post
from readability_triton.faults.traffic import BLS, ENSEMBLE

PLANES = 17
LARGEST_BODY = 64 << 20
DEEPEST = 20_000
WEIGHTS = (np.nan, np.inf, -np.inf, 1e-45, -1e-45, -0.0, 1.0000001, 3e38, -1.0)
SHAPES: tuple[list[int], ...] = (
    [2, 1],
    [1, 2],
    [0, 1],
    [1],
    [],
    [1, 1, 1],
    [-1, 1],
    [513, 1],
    [1 << 40, 1],
    [-(1 << 62), 1],
)
POLICIES = ("", "none", "../../etc/passwd", "__init__", "parallel\0", "PARALLEL", "os.system", "p" * 100_000)
SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "deadline_ms": (-5, "nan", "inf", "soon", False, True, "1e999", "-0x1"),
    "on_failure": ("explode", 3, True),
    "timeout_ms": (-1, "soon", True, "1e999"),
    "priority_level": (0, 4, "first", True, -1e300),
    "tenant": (7, True, "t" * 100_000),
    "timeout": (-1, "x"),
    "priority": ("high", -3),
    "sequence_id": (-1, [1, 2], {"a": 1}),
}


@dataclass(frozen=True)
class Server:
    """Where hostile requests go.

    Attributes:
        http: the HTTP address.
        channel: to the gRPC address.
    """

    http: str
    channel: Channel


Case = Callable[[random.Random, Server], Reply]


def lying_lengths(rng: random.Random, server: Server) -> Reply:
    """A STRING tensor whose length prefixes do not fit its bytes."""
    text = b"The hen sat in the sun."
    payload = rng.choice(
        (
            struct.pack("<I", len(text) + rng.randint(1, 1 << 20)) + text,
            struct.pack("<I", rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0))) + text,
            struct.pack("<I", rng.randint(0, len(text) - 1)) + text,
            (struct.pack("<I", len(text)) + text)[: rng.randint(0, len(text) + 3)],
            struct.pack("<I", len(text)) + text + rng.randbytes(rng.randint(1, 64)),
            rng.randbytes(rng.randint(0, 64)),
        )
    )
    return _send(rng, server, payload, [1, 1])


def lying_shapes(rng: random.Random, server: Server) -> Reply:
    """Shapes that are not those of the data."""
    return _send(rng, server, packed(b"The hen sat in the sun."), rng.choice(SHAPES))


def wrong_types(rng: random.Random, server: Server) -> Reply:
    """Tensors of other types than the model has."""
    datatypes = ("FP32", "INT64", "BOOL", "FP16", "BYTES", "UINT8", "STRING", "", "NOTHING", "B" * 10_000)
    return _send(rng, server, packed(b"The hen."), [1, 1], datatype=rng.choice(datatypes))


def odd_weights(rng: random.Random, server: Server) -> Reply:
    """Blend weights that are no shares, or hardly."""
    return _send(rng, server, packed(b"The hen sat in the sun."), [1, 1], weight=rng.choice(WEIGHTS))


def odd_texts(rng: random.Random, server: Server) -> Reply:
    """Every plane of Unicode, control characters, bytes that are not UTF-8, and a megabyte of one word."""
    return _send(rng, server, packed(_odd_text(rng)), [1, 1])


def _odd_text(rng: random.Random) -> bytes:
    plane = rng.randrange(PLANES) << 16
    letters = "".join(chr(plane + rng.randrange(1 << 16)) for _ in range(rng.randint(1, 300)))
    return rng.choice(
        (
            letters.encode("utf-8", "surrogatepass"),
            letters.encode("utf-8", "ignore"),
            "".join(chr(rng.randrange(32)) for _ in range(50)).encode(),
            b"\0" * rng.randint(1, 1000),
            ("a" + "\u0301" * rng.randint(1, 5000)).encode(),
            b"w" * rng.choice((1, 101, 10_000, 1 << 20)),
            rng.randbytes(rng.randint(1, 2000)),
            " ".join(rng.choice("aàß漢🙂\u202e\ufeff") for _ in range(500)).encode(),
        )
    )


def odd_parameters(rng: random.Random, server: Server) -> Reply:
    """Unknown policies, settings of wrong types and values, unknown parameters."""
    name = rng.choice((*SETTINGS, "unknown", "", "x" * 1000))
    value = rng.choice((*SETTINGS.get(name, ()), None, 1, "1", [], {}, 1e308, "\ud800"))
    policy = rng.choice((*POLICIES, "deadline", "fallback", "graph", 7, None, True, ["parallel"]))
    asked = body(parameters={"policy": policy} | ({name: value} if rng.random() < 0.7 else {}))
    return post(server.http, f"/v2/models/{BLS}/infer", json.dumps(asked).encode("utf-8"), {})


def odd_names(rng: random.Random, server: Server) -> Reply:
    """Outputs, models and versions that there are not, inputs twice or not at all, long ids."""
    model, version = rng.choice((ENSEMBLE, BLS)), ""
    asked = body()
    match rng.randrange(6):
        case 0:
            asked["outputs"] = [{"name": rng.choice(("", "SCORES", "x" * 10_000))}]
        case 1:
            model = rng.choice(("nobody", "..%2f..", "x" * 5000))
        case 2:
            version = f"/versions/{rng.choice(('0', '2', '-1', 'x', '9' * 400))}"
        case 3:
            asked["inputs"] = rng.choice(([], asked["inputs"][:1], asked["inputs"] * 2))
        case 4:
            asked["id"] = rng.choice(("i" * (1 << 20), "\0", 7, {"a": 1}))
        case _:
            asked["inputs"][0]["name"] = rng.choice(("", "Excerpt", "e" * 10_000))
    return post(server.http, f"/v2/models/{model}{version}/infer", json.dumps(asked).encode(), {})


def broken_json(rng: random.Random, server: Server) -> Reply:
    """Deep, cut, and not JSON at all."""
    whole = json.dumps(body()).encode()
    depth = rng.randint(1000, DEEPEST)
    sent = rng.choice(
        (
            b"[" * depth,
            b'{"a":' * depth + b"1" + b"}" * depth,
            b'{"inputs":' + b"[" * depth + b"]" * depth + b"}",
            whole[: rng.randrange(len(whole))],
            rng.randbytes(rng.randint(0, 500)),
            whole.replace(b"0.5", rng.choice((b"NaN", b"Infinity", b"1e999", b'"x"', b"null", b"[0.5]"))),
            b"",
        )
    )
    return post(server.http, f"/v2/models/{rng.choice((ENSEMBLE, BLS))}/infer", sent, {})


def lying_headers(rng: random.Random, server: Server) -> Reply:
    """Content lengths that do not fit the body."""
    sent, length = _binary(packed(b"The hen."), [1, 1], "BYTES", 0.5)
    lie = rng.choice((0, 1, length - 1, length + 1, len(sent), len(sent) + 1, 1 << 40, -1, "x"))
    return post(server.http, f"/v2/models/{BLS}/infer", sent, {"Inference-Header-Content-Length": str(lie)})


def oversized(rng: random.Random, server: Server) -> Reply:
    """More than anyone would send: a text of many megabytes, or thousands of rows."""
    if rng.random() < 0.5:
        return _send(rng, server, packed(b"word " * (rng.randint(1, LARGEST_BODY) // 5)), [1, 1])
    n_rows = rng.randint(513, 20_000)
    return _send(rng, server, packed(b"A hen.") * n_rows, [n_rows, 1])


CASES: tuple[tuple[Case, float], ...] = (
    (lying_lengths, 20),
    (lying_shapes, 15),
    (wrong_types, 10),
    (odd_weights, 10),
    (odd_texts, 15),
    (odd_parameters, 15),
    (odd_names, 10),
    (broken_json, 15),
    (lying_headers, 10),
    (oversized, 0.5),
)
"""Kinds of hostile requests, with how often each is drawn."""


def _send(
    rng: random.Random,
    server: Server,
    payload: bytes,
    shape: list[int],
    datatype: str = "BYTES",
    weight: float = 0.5,
) -> Reply:
    """A request with this raw `excerpt`, by HTTP or gRPC, to one of the pipelines."""
    model = rng.choice((ENSEMBLE, BLS))
    if rng.random() < 0.5:
        sent, length = _binary(payload, shape, datatype, weight)
        return post(server.http, f"/v2/models/{model}/infer", sent, {"Inference-Header-Content-Length": str(length)})
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="excerpt", datatype=datatype, shape=shape)
    request.inputs.add(name="BERT_WEIGHT", datatype="FP32", shape=shape)
    request.raw_input_contents.extend([payload, _weights(shape, weight)])
    return server.channel.infer(request)


def _binary(payload: bytes, shape: list[int], datatype: str, weight: float) -> tuple[bytes, int]:
    """A body of the binary extension, and the length of its header."""
    weights = _weights(shape, weight)
    tensors = (("excerpt", datatype, payload), ("BERT_WEIGHT", "FP32", weights))
    inputs = [
        {"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(data)}}
        for name, kind, data in tensors
    ]
    header = json.dumps({"inputs": inputs}).encode()
    return header + payload + weights, len(header)


def _weights(shape: list[int], weight: float) -> bytes:
    n_rows = shape[0] if shape and 0 < shape[0] <= LARGEST_BODY else 1
    return np.full(n_rows, weight, dtype="<f4").tobytes()


def packed(text: bytes) -> bytes:
    """A STRING tensor of one element."""
    return struct.pack("<I", len(text)) + text


def body(parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request with nothing wrong in it, as JSON has it."""
    return {
        "inputs": [
            {"name": "excerpt", "shape": [1, 1], "datatype": "BYTES", "data": ["The hen sat in the sun."]},
            {"name": "BERT_WEIGHT", "shape": [1, 1], "datatype": "FP32", "data": [0.5]},
        ],
        **({"parameters": dict(parameters)} if parameters is not None else {}),
    }
